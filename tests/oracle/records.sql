-- Raw lines to records: from `members` (instance_id, archive, ordinal, kind, content) to `records`, whose verdict says
-- what became of each line: good, joined or tab (both salvaged), rejected.

CREATE MACRO is_number(text) AS regexp_full_match(text, '[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?');
CREATE MACRO is_valid(text, type) AS CASE type
    WHEN 'key' THEN regexp_full_match(text, '[-+]?[0-9]+')
    WHEN 'integer' THEN text = 'None' OR regexp_full_match(text, '[-+]?[0-9]+')
    WHEN 'number' THEN text = 'None' OR is_number(text)
    WHEN 'date' THEN text = 'None' OR (text >= '0001' AND
        regexp_full_match(text, '[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?')
        AND TRY_CAST(text AS TIMESTAMP) IS NOT NULL)
    WHEN 'direction' THEN text IN ('input', 'output')
    ELSE TRUE END;
CREATE MACRO is_record(fields, types) AS
    len(fields) = len(types)
    AND list_bool_and([is_valid(fields[place], types[place]) FOR place IN range(1, len(types) + 1)]);

CREATE TABLE columns AS FROM (VALUES
    ('jobs', ['id', 'tool_id', 'tool_version', 'state', 'create_time'], ['key', 'free', 'free', 'text', 'date']),
    ('jobs', ['id', 'tool_id', 'state'], ['key', 'free', 'text']),
    ('metric_num', ['job_id', 'plugin', 'name', 'value'], ['key', 'free', 'free', 'number']),
    ('metric_txt', ['job_id', 'plugin', 'name', 'value'], ['key', 'free', 'free', 'free']),
    ('params', ['job_id', 'name', 'value'], ['key', 'free', 'free']),
    ('datasets', ['job_id', 'dataset_id', 'extension', 'file_size', 'param_name', 'type'],
        ['key', 'integer', 'text', 'integer', 'free', 'direction'])
) AS known(kind, names, types);
-- Of each kind the layout with the most columns: what a header may name.
CREATE VIEW widest AS SELECT kind, max_by(names, len(names)) AS names, max_by(types, len(names)) AS types
FROM columns GROUP BY kind;

CREATE TABLE lines AS
SELECT instance_id, archive, ordinal, kind, line, text, string_split(text, chr(9)) AS fields
FROM (
    SELECT instance_id, archive, ordinal, kind, generate_subscripts(texts, 1) AS line, unnest(texts) AS text
    FROM (SELECT * EXCLUDE content, string_split(regexp_replace(content, '\n$', ''), chr(10)) AS texts
          FROM members WHERE content <> ''));

-- A header is known by its first field; without one, the number of columns that most lines have decides.
CREATE TABLE headers AS
SELECT instance_id, archive, ordinal, kind, fields AS names,
       [widest.types[list_position(widest.names, name)] FOR name IN fields] AS types
FROM lines JOIN widest USING (kind)
WHERE line = 1 AND list_contains(widest.names, fields[1]);
CREATE TABLE layouts AS
FROM headers
UNION ALL
SELECT instance_id, archive, ordinal, kind, arg_max(names, votes), arg_max(types, votes)
FROM (SELECT instance_id, archive, ordinal, kind, names, types,
             count(*) FILTER (WHERE len(fields) = len(names)) AS votes
      FROM lines JOIN columns USING (kind) ANTI JOIN headers USING (instance_id, archive, ordinal) GROUP BY ALL)
GROUP BY ALL;

CREATE TABLE read AS
SELECT lines.* EXCLUDE text, names, types, len(types) AS width, is_record(fields, types) AS good
FROM lines JOIN layouts USING (instance_id, archive, ordinal, kind)
ANTI JOIN (SELECT *, 1 AS line FROM headers) USING (instance_id, archive, ordinal, line);

-- A line with too many columns: its last ones are a record, or exactly one text may hold the tabs.
CREATE TABLE mended AS
SELECT * EXCLUDE readings, len(readings) AS readings, readings[1] AS reading
FROM (
    SELECT instance_id, archive, ordinal, line, fields[-width:] AS tail, is_record(fields[-width:], types) AS joined,
           [reading FOR reading IN [
               fields[: place - 1] || [array_to_string(fields[place : place + len(fields) - width], chr(9))]
                   || fields[place + len(fields) - width + 1 :]
               FOR place IN range(1, width + 1) IF types[place] = 'free'
           ] IF is_record(reading, types)] AS readings
    FROM read WHERE len(fields) > width);

CREATE TABLE records AS
SELECT read.* EXCLUDE (fields, types, width, good),
       CASE WHEN good THEN 'good' WHEN joined THEN 'joined' WHEN readings = 1 THEN 'tab' ELSE 'rejected' END AS verdict,
       CASE WHEN good THEN fields WHEN joined THEN tail WHEN readings = 1 THEN reading END AS fields
FROM read LEFT JOIN mended USING (instance_id, archive, ordinal, line);

-- The value of a column, null where the exporter writes None or this member has no such column.
CREATE MACRO field(record, column_name) AS nullif(record.fields[list_position(record.names, column_name)], 'None');
