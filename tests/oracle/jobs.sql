-- Records to jobs: the newest archive that reports a job, in it the last line, and what belongs to that.
-- Seconds and cores are exact: `ticks` of 1e-7, as many decimals as the exporter writes; CPU time is in nanoseconds.

CREATE MACRO amount(text) AS TRY_CAST(text AS DECIMAL(30, 7));
CREATE MACRO ticks(amount) AS CAST(amount * CAST(10000000 AS DECIMAL(8, 0)) AS HUGEINT);
CREATE MACRO in_seconds(ticks) AS CAST(ticks AS DECIMAL(30, 0)) * CAST('0.0000001' AS DECIMAL(8, 7));
-- The number that a floating-point number's text stands for: a large one has more digits than are written.
CREATE MACRO exactly(text) AS CASE
    WHEN CAST(text AS DOUBLE) > 1e15 THEN CAST(CAST(CAST(text AS DOUBLE) AS HUGEINT) AS DECIMAL(38, 9))
    ELSE CAST(text AS DECIMAL(38, 9)) END;
CREATE MACRO ns_in_seconds(ns) AS CAST(ns AS DECIMAL(28, 0)) * CAST('0.000000001' AS DECIMAL(9, 9));
-- Cut to microseconds, not rounded.
CREATE MACRO moment(seconds) AS make_timestamp(CAST(ticks(seconds) // 10 AS BIGINT));
-- The value of rank ceil(percent · n / 100): counted here, for quantile_disc computes the rank in floating point.
CREATE MACRO in_order(amounts) AS list_sort(list(amounts) FILTER (WHERE amounts IS NOT NULL));
CREATE MACRO percentile(ordered, percent) AS ordered[greatest(1, (percent * len(ordered) + 99) // 100)];

-- What no job can have was not measured.
CREATE MACRO within(amount, least, most) AS CASE WHEN amount BETWEEN least AND most THEN amount END;
CREATE MACRO lost(before, after) AS before IS NOT NULL AND after IS NULL;
-- From 2005 on, before 2100.
CREATE MACRO in_galaxys_time(seconds) AS within(seconds, 1104537600, 4102444799);
CREATE MACRO in_ten_years(seconds) AS within(seconds, 0, 315576000);
CREATE MACRO in_a_pebibyte(bytes) AS within(bytes, 0, 1125899906842624);
CREATE MACRO below_no_limit(amount) AS within(amount, 0, 4611686018427387903);

CREATE TABLE archives AS
SELECT instance_id, archive, generated, document, tar,
       row_number() OVER (PARTITION BY instance_id ORDER BY generated, TRY_CAST(archive AS DECIMAL(30, 10))) AS place
FROM (-- The name is the date where the one in the document cannot be.
      SELECT *, CAST(archive AS DECIMAL(20, 7)) AS named,
             ifnull(CAST(document ->> 'generated' AS DECIMAL(20, 7)), named) AS told,
             CASE WHEN told > 4102444799 OR (named BETWEEN 1104537600 AND 4102444799
                       AND NOT told BETWEEN 1104537600 AND named + 86400) THEN named ELSE told END AS generated
      FROM documents);

CREATE TABLE job_lines AS
SELECT instance_id, archive, place, ordinal, line, CAST(field(record, 'id') AS BIGINT) AS job_id,
       coalesce(field(record, 'tool_id'), '') AS tool_id,
       -- A star stands for all versions of a tool.
       coalesce(nullif(field(record, 'tool_version'), '*'), '') AS tool_version,
       coalesce(field(record, 'state'), '') AS state, CAST(field(record, 'create_time') AS TIMESTAMP) AS create_time
FROM records AS record JOIN archives USING (instance_id, archive)
WHERE kind = 'jobs' AND verdict <> 'rejected';

CREATE TABLE newest AS
FROM job_lines
QUALIFY row_number() OVER (PARTITION BY instance_id, job_id ORDER BY place DESC, ordinal DESC, line DESC) = 1;

-- The records of a job are those of the archive that its newest line is from; those of no job fall out.
CREATE VIEW of_jobs AS
SELECT newest.* EXCLUDE (ordinal, line, place), record.* EXCLUDE (instance_id, archive)
FROM (SELECT *, CAST(field(records, 'job_id') AS BIGINT) AS job_id FROM records
      WHERE kind <> 'jobs' AND verdict <> 'rejected') AS record
JOIN newest USING (instance_id, archive, job_id);

CREATE TABLE metrics AS
SELECT instance_id, job_id, field(record, 'plugin') AS plugin, field(record, 'name') AS name,
       amount(field(record, 'value')) AS written,
       CASE WHEN written < CAST('4611686018427387904' AS DECIMAL(30, 7)) THEN written END AS value
FROM of_jobs AS record
WHERE kind = 'metric_num'
QUALIFY row_number() OVER (
    PARTITION BY instance_id, job_id, field(record, 'plugin'), field(record, 'name')
    ORDER BY ordinal DESC, line DESC) = 1;

CREATE TABLE datasets AS
SELECT instance_id, job_id, tool_id, tool_version,
       -- An id has 64 bits.
       CAST(TRY_CAST(field(record, 'dataset_id') AS BIGINT) AS HUGEINT) AS dataset_id,
       field(record, 'type') AS type, coalesce(field(record, 'param_name'), '') AS param_name,
       coalesce(field(record, 'extension'), '') AS extension, CAST(field(record, 'file_size') AS HUGEINT) AS written,
       in_a_pebibyte(written) AS file_size
FROM of_jobs AS record
WHERE kind = 'datasets';

CREATE TABLE params AS
SELECT instance_id, job_id, tool_id, tool_version, state, coalesce(field(record, 'name'), '') AS name,
       record.fields[list_position(record.names, 'value')] AS value
FROM of_jobs AS record
WHERE kind = 'params'
QUALIFY row_number() OVER (
    PARTITION BY instance_id, job_id, coalesce(field(record, 'name'), '') ORDER BY ordinal DESC, line DESC) = 1;

-- What was measured, as written: still with what cannot be, for whoever has such a thing is implausible.
CREATE VIEW written AS
SELECT instance_id, job_id,
       any_value(value) FILTER (WHERE plugin = 'core' AND name = 'runtime_seconds') AS runtime,
       any_value(value) FILTER (WHERE plugin = 'core' AND name = 'start_epoch') AS start_epoch,
       any_value(value) FILTER (WHERE plugin = 'core' AND name = 'end_epoch') AS end_epoch,
       any_value(value) FILTER (WHERE plugin = 'core' AND name = 'galaxy_slots') AS slots,
       any_value(value) FILTER (WHERE plugin = 'core' AND name = 'galaxy_memory_mb') AS megabytes,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'memory.peak') AS peak,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'memory.max_usage_in_bytes') AS max_usage,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'cpu.stat.usage_usec') AS usage_usec,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'cpuacct.usage') AS usage_ns,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'memory.events.oom_kill') AS oom_kill,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'memory.limit_in_bytes') AS limit_in_bytes,
       any_value(value) FILTER (WHERE plugin = 'cgroup' AND name = 'memory.failcnt') AS failcnt
FROM metrics GROUP BY ALL;

-- What of it can be. A limit is no measurement, and may be as high as anyone likes.
CREATE VIEW sane AS
SELECT written.*, in_galaxys_time(start_epoch) AS began, in_galaxys_time(end_epoch) AS ended,
       ifnull(runtime, ended - began) AS ran, ticks(in_ten_years(ran)) AS run_ticks,
       ticks(within(slots, CAST('0.0000001' AS DECIMAL(8, 7)), 100000)) AS cores,
       -- Rounded down to whole ticks.
       run_ticks * cores // 10000000 AS all_core_ticks, below_no_limit(all_core_ticks) AS core_ticks,
       ticks(within(megabytes, 0, 1073741824)) AS megabyte_ticks,
       CAST(in_a_pebibyte(peak) AS HUGEINT) AS peak_bytes, CAST(in_a_pebibyte(max_usage) AS HUGEINT) AS usage_bytes,
       ticks(within(usage_usec, 0, 4611686018427387)) // 10000 AS by_usec,
       CAST(below_no_limit(usage_ns) AS HUGEINT) AS by_ns, ifnull(by_usec, by_ns) AS used,
       -- All of 10,000 processors, and for a minute more.
       CASE WHEN run_ticks IS NULL OR used <= 10000 * (run_ticks * 100 + 60000000000) THEN used END AS cpu_ns,
       below_no_limit(oom_kill) AS kills, below_no_limit(limit_in_bytes) AS most, below_no_limit(failcnt) AS hits,
       lost(start_epoch, began) OR lost(end_epoch, ended) OR lost(ran, run_ticks) OR lost(slots, cores)
           OR lost(all_core_ticks, core_ticks) OR lost(megabytes, megabyte_ticks) OR lost(peak, peak_bytes)
           OR lost(max_usage, usage_bytes) OR lost(usage_usec, by_usec) OR lost(usage_ns, by_ns) OR lost(used, cpu_ns)
           OR lost(oom_kill, kills) OR lost(limit_in_bytes, most) OR lost(failcnt, hits) AS impossible_metric
FROM written;

CREATE VIEW sizes AS
SELECT instance_id, job_id, sum(bytes) FILTER (WHERE type = 'input') AS input_sum,
       sum(bytes) FILTER (WHERE type = 'output') AS output_sum,
       CASE WHEN input_sum < 4611686018427387904 THEN input_sum END AS input_bytes,
       CASE WHEN output_sum < 4611686018427387904 THEN output_sum END AS output_bytes,
       bool_or(negative) OR input_bytes IS DISTINCT FROM input_sum OR output_bytes IS DISTINCT FROM output_sum
           AS impossible_size
FROM (-- A dataset that stands there under several names; without an id, every line is one.
      SELECT instance_id, job_id, type, max(file_size) AS bytes, bool_or(written < -1 OR lost(below_no_limit(written), file_size)) AS negative
      FROM (SELECT *, row_number() OVER () AS line FROM datasets)
      GROUP BY instance_id, job_id, type, dataset_id, CASE WHEN dataset_id IS NULL THEN line END)
GROUP BY instance_id, job_id;

CREATE TABLE jobs AS
SELECT instance_id, job_id, tool_id, tool_version, state, created AS create_time, CAST(created AS DATE) AS day,
       run_ticks AS runtime, cores, core_ticks, coalesce(nullif(peak_bytes, 0), nullif(usage_bytes, 0)) AS memory_bytes,
       CAST(megabyte_ticks * 1048576 // 10000000 AS HUGEINT) AS allocated_memory_bytes, cpu_ns,
       ticks(began) - epoch_us(created) * 10 AS waited, CASE WHEN waited BETWEEN 0 AND 3155760000000000 THEN waited END AS wait,
       CAST(input_bytes AS HUGEINT) AS input_bytes, CAST(output_bytes AS HUGEINT) AS output_bytes,
       -- A limit that is 0, or none at all, leaves the first control groups without an answer.
       CASE WHEN kills IS NOT NULL THEN kills > 0
            WHEN most > 0 AND usage_bytes > 0 THEN state = 'error' AND usage_bytes * 100 >= most * 98
            WHEN most > 0 AND hits = 0 THEN FALSE END AS oom,
       state NOT IN ('ok', 'error', 'failed', 'deleted', 'deleted_new', 'stopped', 'skipped') AS non_terminal,
       sane.job_id IS NULL AS without_metrics,
       coalesce(impossible_metric, FALSE) OR coalesce(impossible_size, FALSE) OR coalesce(waited > 3155760000000000, FALSE)
           OR lost(create_time, created) AS implausible
FROM (SELECT *, within(create_time, TIMESTAMP '2005-01-01 00:00:00', TIMESTAMP '2099-12-31 23:59:59') AS created
      FROM newest) AS newest
LEFT JOIN sane USING (instance_id, job_id)
LEFT JOIN sizes USING (instance_id, job_id);

-- The id of a tool without its version: <shed>/repos/<owner>/<repository>/<tool>/<version> without its last part.
CREATE MACRO versionless(tool_id) AS CASE WHEN string_split(tool_id, '/')[2:][-5] = 'repos'
    THEN array_to_string(string_split(tool_id, '/')[:-2], '/') ELSE tool_id END;

-- Every job once for the version of its tool and once for all versions, and each of them once for its instance and once
-- for all instances together; `home` is its instance in any case.
CREATE VIEW versions AS
FROM jobs UNION ALL SELECT * REPLACE (versionless(tool_id) AS tool_id, '*' AS tool_version) FROM jobs;
CREATE VIEW everywhere AS
SELECT *, instance_id AS home FROM versions UNION ALL
SELECT * REPLACE ('*' AS instance_id), instance_id AS home FROM versions;

-- The metrics of each job that came to a good end, exactly where there is an exact number.
CREATE TABLE measured AS
WITH ok AS (
    SELECT instance_id, day, tool_id, tool_version,
           CAST(in_seconds(runtime) AS DECIMAL(38, 9)) AS runtime_seconds,
           CAST(memory_bytes AS DECIMAL(38, 9)) AS memory_bytes,
           CAST(ns_in_seconds(cpu_ns) AS DECIMAL(38, 9)) AS cpu_seconds,
           CAST(in_seconds(cores) AS DECIMAL(38, 9)) AS cores,
           CAST(allocated_memory_bytes AS DECIMAL(38, 9)) AS allocated_memory_bytes,
           CAST(in_seconds(core_ticks) AS DECIMAL(38, 9)) AS core_seconds,
           CAST(in_seconds(wait) AS DECIMAL(38, 9)) AS wait_seconds,
           CAST(input_bytes AS DECIMAL(38, 9)) AS input_bytes,
           CAST(output_bytes AS DECIMAL(38, 9)) AS output_bytes,
           cpu_ns / (nullif(core_ticks, 0) * 100) AS cpu_efficiency,
           memory_bytes / nullif(allocated_memory_bytes, 0) AS memory_efficiency
    FROM everywhere WHERE state = 'ok'
)
SELECT instance_id, day, tool_id, tool_version, metric, exact, CAST(exact AS DOUBLE) AS value
FROM (UNPIVOT ok ON runtime_seconds, memory_bytes, cpu_seconds, cores, allocated_memory_bytes, core_seconds,
                    wait_seconds, input_bytes, output_bytes INTO NAME metric VALUE exact)
UNION ALL
SELECT instance_id, day, tool_id, tool_version, metric, NULL, value
FROM (UNPIVOT ok ON cpu_efficiency, memory_efficiency INTO NAME metric VALUE value);

-- What parameters say. A value that names datasets says nothing else: a reference by its form, or the bare ids of
-- inputs of the same job and name. Galaxy numbers the datasets of a multiple parameter: `input` has input1, input2, ….
CREATE VIEW said AS
WITH inputs AS (
    SELECT params.instance_id, params.job_id, params.name, list(dataset_id) AS ids
    FROM params JOIN datasets USING (instance_id, job_id)
    WHERE type = 'input' AND starts_with(param_name, params.name)
          AND regexp_full_match(param_name[len(params.name) + 1 :], '[0-9]*')
    GROUP BY ALL
)
SELECT instance_id, tool_id, tool_version, state, name, plain, names_data OR coalesce(
    regexp_full_match(plain, '\[?[0-9]{1,18}(, ?[0-9]{1,18})*\]?')
    AND list_has_all(ids, [CAST(id AS HUGEINT) FOR id IN regexp_extract_all(plain, '[0-9]{1,18}')]), FALSE
) AS names_data
FROM params JOIN unwrapped USING (name, value) LEFT JOIN inputs USING (instance_id, job_id, name);

CREATE VIEW publicity AS
SELECT instance_id, coalesce(CAST(document -> 'public' AS BOOLEAN), FALSE) AS public FROM metadata;

-- What the program published, texts as they stand there: for what is its own choice, the bins of a histogram and the
-- values of a sample.
CREATE MACRO escaped(text) AS
    replace(replace(replace(replace(text, '\', '\\'), chr(9), '\t'), chr(10), '\n'), chr(13), '\r');
CREATE MACRO published(name) AS TABLE
    FROM read_csv(getvariable('latest') || '/' || name || '.tsv', delim = '\t', quote = '', escape = '', header = TRUE,
                  all_varchar = TRUE);
