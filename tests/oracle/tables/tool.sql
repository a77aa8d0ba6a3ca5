-- <shed>/repos/<owner>/<repository>/<tool>[/<version>]; any other id is a name of its own.
SELECT tool_id, tool_version,
       CASE WHEN in_shed THEN split_part(tool_id, '/repos/', 1) END AS shed,
       CASE WHEN in_shed THEN parts[1] END AS owner,
       CASE WHEN in_shed THEN parts[2] END AS repository,
       CASE WHEN in_shed THEN parts[3] ELSE tool_id END AS name
FROM (
    SELECT *, len(parts) IN (3, 4) AS in_shed
    FROM (SELECT DISTINCT tool_id, tool_version, string_split(split_part(tool_id, '/repos/', 2), '/') AS parts
          FROM jobs))
