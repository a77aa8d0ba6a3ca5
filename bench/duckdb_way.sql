-- The tables by DuckDB. In: the tables `files` and `archives`, both with a number `file` for each archive, which rises
-- from older to newer ones of an instance; lists of members, and the as-of date, as variables. Numbers are doubles, but
-- for bytes and nanoseconds; percentiles are exact.

-- Members to tables. `None` is null. Headers, and lines that are no record of these columns, are rejected; of those
-- lines the last columns are taken where they are a whole record.
CREATE MACRO fields(line) AS [nullif(field, 'None') FOR field IN string_split(line, chr(9))];
CREATE MACRO rejected(rejects, scans) AS TABLE
    SELECT DISTINCT file_path AS filename, line, fields(csv_line) AS f
    FROM query_table(rejects) JOIN query_table(scans) USING (scan_id, file_id);

CREATE TABLE job_lines AS
SELECT file, instance_id, id AS job_id, coalesce(tool_id, '') AS tool_id,
       coalesce(tool_version, '') AS tool_version, coalesce(state, '') AS state, create_time
FROM (
    FROM read_csv(getvariable('jobs'), delim = '\t', header = FALSE, quote = '', escape = '', nullstr = 'None',
                  auto_detect = FALSE, filename = TRUE, store_rejects = TRUE,
                  rejects_table = 'job_rejects', rejects_scan = 'job_scans',
                  columns = {id: 'BIGINT', tool_id: 'VARCHAR', tool_version: 'VARCHAR', state: 'VARCHAR',
                             create_time: 'TIMESTAMP'})
    UNION ALL BY NAME
    FROM read_csv(getvariable('short_jobs'), delim = '\t', header = FALSE, quote = '', escape = '', nullstr = 'None',
                  auto_detect = FALSE, filename = TRUE, ignore_errors = TRUE,
                  columns = {id: 'BIGINT', tool_id: 'VARCHAR', state: 'VARCHAR'})
) JOIN files USING (filename);
INSERT INTO job_lines
SELECT file, instance_id, id, coalesce(f[2], ''), coalesce(f[3], ''), coalesce(f[4], ''), created
FROM (SELECT filename, f[-5:] AS f, TRY_CAST(f[-5] AS BIGINT) AS id, TRY_CAST(f[-1] AS TIMESTAMP) AS created
      FROM rejected('job_rejects', 'job_scans') WHERE len(f) >= 5)
JOIN files USING (filename)
WHERE id IS NOT NULL AND (created IS NOT NULL OR f[5] IS NULL);

CREATE TABLE metric_lines AS
SELECT file, job_id, name, CASE WHEN value < 4611686018427387904 THEN value END AS value
FROM read_csv(getvariable('metric_num'), delim = '\t', header = FALSE, quote = '', escape = '', nullstr = 'None',
              auto_detect = FALSE, filename = TRUE, ignore_errors = TRUE,
              columns = {job_id: 'BIGINT', plugin: 'VARCHAR', name: 'VARCHAR', value: 'DOUBLE'})
JOIN files USING (filename);

CREATE TABLE dataset_lines AS
SELECT file, job_id, dataset_id, coalesce(extension, '') AS extension, file_size,
       coalesce(param_name, '') AS param_name, type
FROM read_csv(getvariable('datasets'), delim = '\t', header = FALSE, quote = '', escape = '', nullstr = 'None',
              auto_detect = FALSE, filename = TRUE, store_rejects = TRUE,
              rejects_table = 'dataset_rejects', rejects_scan = 'dataset_scans',
              columns = {job_id: 'BIGINT', dataset_id: 'BIGINT', extension: 'VARCHAR', file_size: 'BIGINT',
                         param_name: 'VARCHAR', type: 'VARCHAR'})
JOIN files USING (filename);
CREATE MACRO integers(texts) AS
    list_bool_and([TRY_CAST(text AS BIGINT) IS NOT NULL FOR text IN texts IF text IS NOT NULL]);
INSERT INTO dataset_lines
SELECT file, CAST(f[1] AS BIGINT), CAST(f[2] AS BIGINT), coalesce(f[3], ''), CAST(f[4] AS BIGINT), coalesce(f[5], ''),
       f[6]
FROM (
    SELECT filename, CASE
        WHEN integers([f[-6], f[-5], f[-3]]) THEN f[-6:]
        -- A tab in param_name.
        WHEN integers([f[1], f[2], f[4]]) THEN f[:4] || [array_to_string(f[5:-2], chr(9))] || f[-1:] END AS f
    FROM rejected('dataset_rejects', 'dataset_scans') WHERE len(f) > 6 AND f[-1] IN ('input', 'output'))
JOIN files USING (filename)
WHERE f[1] IS NOT NULL;

-- Not with None as null: a fourth column that is null would pass for none.
CREATE TABLE param_lines AS
SELECT file, job_id, nullif(name, 'None') AS name, nullif(value, 'None') AS value
FROM read_csv(getvariable('params'), delim = '\t', header = FALSE, quote = '', escape = '', nullstr = 'nothing at all',
              auto_detect = FALSE, filename = TRUE, store_rejects = TRUE,
              rejects_table = 'param_rejects', rejects_scan = 'param_scans',
              columns = {job_id: 'BIGINT', name: 'VARCHAR', value: 'VARCHAR'})
JOIN files USING (filename);
INSERT INTO param_lines
SELECT file, TRY_CAST(f[-3] AS BIGINT) AS job_id, f[-2], f[-1]
FROM rejected('param_rejects', 'param_scans') JOIN files USING (filename)
WHERE len(f) > 3 AND job_id IS NOT NULL;

-- Jobs: one row each. What a newer archive reports again counts as that one says, and of a metric the last row.
CREATE TABLE newest AS
FROM job_lines
ANTI JOIN (SELECT instance_id, job_id, max(file) AS last FROM job_lines GROUP BY ALL HAVING count(*) > 1) AS again
    ON job_lines.instance_id = again.instance_id AND job_lines.job_id = again.job_id AND file < last;

-- A tool over all its versions is one more, its `family`: the id without the version, and a star.
CREATE MACRO versionless(tool_id) AS regexp_replace(tool_id, '^(.+/repos/[^/]+/[^/]+/[^/]+)/[^/]*$', '\1');
CREATE TABLE families AS
SELECT CAST(row_number() OVER () AS INTEGER) AS number, tool_id, '*' AS tool_version
FROM (SELECT DISTINCT versionless(tool_id) AS tool_id FROM newest);
CREATE TABLE tools AS
SELECT CAST(-row_number() OVER () AS INTEGER) AS number, different.*, families.number AS family
FROM (SELECT DISTINCT tool_id, tool_version FROM newest) AS different
JOIN families ON versionless(different.tool_id) = families.tool_id;
CREATE VIEW names AS FROM (FROM families UNION ALL SELECT number, tool_id, tool_version FROM tools);

CREATE TABLE metrics AS
SELECT file, job_id,
       arg_max_null(value, rowid) FILTER (name = 'runtime_seconds') AS runtime,
       arg_max_null(value, rowid) FILTER (name = 'start_epoch') AS start_epoch,
       arg_max_null(value, rowid) FILTER (name = 'end_epoch') AS end_epoch,
       arg_max_null(value, rowid) FILTER (name = 'galaxy_slots') AS slots,
       arg_max_null(value, rowid) FILTER (name = 'galaxy_memory_mb') AS megabytes,
       arg_max_null(value, rowid) FILTER (name = 'memory.peak') AS peak,
       arg_max_null(value, rowid) FILTER (name = 'memory.max_usage_in_bytes') AS max_usage,
       arg_max_null(value, rowid) FILTER (name = 'cpu.stat.usage_usec') AS usage_usec,
       arg_max_null(value, rowid) FILTER (name = 'cpuacct.usage') AS usage_ns,
       arg_max_null(value, rowid) FILTER (name = 'memory.events.oom_kill') AS kills,
       arg_max_null(value, rowid) FILTER (name = 'memory.limit_in_bytes') AS most,
       arg_max_null(value, rowid) FILTER (name = 'memory.failcnt') AS hits
FROM metric_lines GROUP BY ALL;

CREATE TABLE sizes AS
SELECT file, job_id, sum(size) FILTER (type = 'input') AS input_bytes,
       sum(size) FILTER (type = 'output') AS output_bytes, bool_or(negative) AS negative
FROM (-- A dataset may stand there under several names; without an id, each row is one.
      SELECT file, job_id, type, max(file_size) FILTER (file_size BETWEEN 0 AND 1125899906842624) AS size,
             bool_or(file_size NOT BETWEEN -1 AND 1125899906842624) AS negative
      FROM dataset_lines
      GROUP BY file, job_id, type, dataset_id, CASE WHEN dataset_id IS NULL THEN rowid END)
GROUP BY file, job_id;

-- What no job can have is null: more than ten years, times before 2005 and from 2100 on, more than 100,000 cores, 1 PiB,
-- and more CPU time than 10,000 processors give.
CREATE MACRO plausible(value, least, most) AS CASE WHEN value BETWEEN least AND most THEN value END;
CREATE MACRO odd(value, least, most) AS ifnull(value NOT BETWEEN least AND most, FALSE);
CREATE MACRO seconds(value) AS plausible(value, 0, 315576000);
CREATE MACRO unix_time(value) AS plausible(value, 1104537600, 4102444799);
CREATE MACRO size(value) AS plausible(value, 0, 1125899906842624);
CREATE TABLE jobs AS
SELECT file, instance_id, job_id, number AS tool, family, state,
       plausible(created, TIMESTAMP '2005-01-01', TIMESTAMP '2099-12-31 23:59:59') AS create_time,
       CAST(create_time AS DATE) AS day, ifnull(runtime, unix_time(end_epoch) - unix_time(start_epoch)) AS ran,
       seconds(ran) AS runtime_seconds,
       CAST(ifnull(nullif(size(peak), 0), nullif(size(max_usage), 0)) AS BIGINT) AS memory_bytes,
       CAST(ifnull(plausible(usage_usec * 1000, 0, 4611686018427387000), plausible(usage_ns, 0, 4611686018427387000))
            AS BIGINT) AS used,
       plausible(used, 0, ifnull(10000 * (runtime_seconds + 60) * 1e9, used)) AS cpu_ns,
       plausible(slots, 1e-7, 100000) AS cores,
       CAST(plausible(megabytes, 0, 1073741824) * 1048576 AS BIGINT) AS allocated_memory_bytes,
       runtime_seconds * cores AS core_seconds,
       (unix_time(start_epoch) * 1e6 - epoch_us(create_time)) / 1e6 AS waited, seconds(waited) AS wait_seconds,
       CAST(input_bytes AS BIGINT) AS input_bytes, CAST(output_bytes AS BIGINT) AS output_bytes,
       CASE WHEN kills >= 0 THEN kills > 0
            WHEN most > 0 AND max_usage > 0 THEN state = 'error' AND max_usage >= 0.98 * most
            WHEN most > 0 AND hits = 0 THEN FALSE END AS oom,
       state NOT IN ('ok', 'error', 'failed', 'deleted', 'deleted_new', 'stopped', 'skipped') AS non_terminal,
       metrics.job_id IS NULL AS without_metrics,
       ifnull(least(usage_usec, usage_ns, kills, most, hits) < 0 OR waited > 315576000, FALSE) OR ifnull(negative, FALSE)
           OR odd(ran, 0, 315576000) OR odd(start_epoch, 1104537600, 4102444799)
           OR odd(end_epoch, 1104537600, 4102444799) OR odd(slots, 1e-7, 100000) OR odd(megabytes, 0, 1073741824)
           OR odd(peak, 0, 1125899906842624) OR odd(max_usage, 0, 1125899906842624)
           OR used IS DISTINCT FROM cpu_ns OR created IS DISTINCT FROM create_time AS implausible
FROM (SELECT * EXCLUDE create_time, create_time AS created FROM newest)
JOIN tools USING (tool_id, tool_version)
LEFT JOIN metrics USING (file, job_id)
LEFT JOIN sizes USING (file, job_id);

-- Tables. Tools are grouped by their number; what has no instance_id after GROUPING SETS is all instances together.
CREATE MACRO from_day(days) AS getvariable('as_of') - days + 1;
CREATE MACRO jobs_of(days) AS TABLE
    FROM jobs WHERE days IS NULL OR day BETWEEN from_day(days) AND getvariable('as_of');

CREATE TABLE tool AS
SELECT tool_id, tool_version, CASE WHEN in_shed THEN split_part(tool_id, '/repos/', 1) END AS shed,
       CASE WHEN in_shed THEN parts[1] END AS owner, CASE WHEN in_shed THEN parts[2] END AS repository,
       CASE WHEN in_shed THEN parts[3] ELSE tool_id END AS name
FROM (SELECT *, string_split(split_part(tool_id, '/repos/', 2), '/') AS parts, len(parts) IN (3, 4) AS in_shed
      FROM tools);

CREATE TABLE tool_day AS
FROM (
    SELECT instance_id, day, tool AS number, state, count(*) AS jobs,
           sum(runtime_seconds) AS runtime_seconds, sum(core_seconds) AS core_seconds, sum(cpu_ns) / 1e9 AS cpu_seconds,
           sum(input_bytes) AS input_bytes, sum(output_bytes) AS output_bytes
    FROM jobs GROUP BY ALL)
JOIN tools USING (number);

CREATE MACRO usage(period, days) AS TABLE
    SELECT coalesce(instance_id, '*') AS instance_id, period AS period, coalesce(tool, family) AS number, count(*) AS jobs,
           count(*) FILTER (state = 'ok') AS ok, count(*) FILTER (state = 'error') AS error,
           sum(CAST(oom AS INTEGER)) AS oom, count(DISTINCT instance_id) AS instances,
           sum(core_seconds) / 3600 AS core_hours, sum(cpu_ns) / 36e11 AS cpu_hours, min(create_time) AS first_job,
           max(create_time) AS last_job
    FROM jobs_of(days) GROUP BY GROUPING SETS ((instance_id, tool), (tool), (instance_id, family), (family));
CREATE TABLE tool_usage AS
SELECT *, jobs - ok - error AS other, error / nullif(ok + error, 0) AS error_rate,
       ok + error > 4 AND error * 100 > 95 * (ok + error) AS likely_broken
FROM (FROM usage('all', NULL) UNION ALL FROM usage('30d', 30) UNION ALL FROM usage('7d', 7))
JOIN names USING (number);

CREATE MACRO summary(value) AS {
    n: count(value), total: sum(value), mean: avg(value), minimum: min(value), maximum: max(value),
    stddev: stddev_samp(value), variance: var_samp(value),
    p: quantile_disc(value, [0.25, 0.5, 0.75, 0.9, 0.95, 0.99])};
CREATE MACRO summaries(period, days) AS TABLE
    SELECT coalesce(instance_id, '*') AS instance_id, period AS period, coalesce(tool, family) AS number,
           summary(runtime_seconds) AS runtime_seconds, summary(CAST(memory_bytes AS DOUBLE)) AS memory_bytes,
           summary(cpu_ns / 1e9) AS cpu_seconds, summary(cores) AS cores,
           summary(CAST(allocated_memory_bytes AS DOUBLE)) AS allocated_memory_bytes,
           summary(core_seconds) AS core_seconds,
           summary(cpu_ns / (nullif(core_seconds, 0) * 1e9)) AS cpu_efficiency,
           summary(memory_bytes / nullif(allocated_memory_bytes, 0)) AS memory_efficiency,
           summary(wait_seconds) AS wait_seconds, summary(CAST(input_bytes AS DOUBLE)) AS input_bytes,
           summary(CAST(output_bytes AS DOUBLE)) AS output_bytes
    FROM jobs_of(days) WHERE state = 'ok'
    GROUP BY GROUPING SETS ((instance_id, tool), (tool), (instance_id, family), (family));
CREATE TABLE tool_metric AS
SELECT instance_id, period, tool_id, tool_version, metric, s.* EXCLUDE p,
       s.p[1] AS p25, s.p[2] AS p50, s.p[3] AS p75, s.p[4] AS p90, s.p[5] AS p95, s.p[6] AS p99
FROM (UNPIVOT (FROM summaries('all', NULL) UNION ALL FROM summaries('30d', 30) UNION ALL FROM summaries('7d', 7))
      ON COLUMNS(* EXCLUDE (instance_id, period, number)) INTO NAME metric VALUE s)
JOIN names USING (number)
WHERE s.n > 0;

-- Each power of two is cut into four bins; 0 has its own.
CREATE MACRO octave(value) AS pow(2, floor(log2(nullif(value, 0))));
CREATE MACRO bin_low(value) AS CASE
    WHEN value = 0 THEN 0 ELSE octave(value) * (1 + floor((value / octave(value) - 1) * 4) / 4) END;
CREATE TABLE tool_histogram AS
SELECT coalesce(instance_id, '*') AS instance_id, tool_id, tool_version, metric, low,
       low + ifnull(octave(low) / 4, 1e-9) AS high, jobs
FROM (
    SELECT instance_id, coalesce(tool, family) AS number, metric, low, count(*) AS jobs
    FROM (UNPIVOT (SELECT instance_id, tool, family, bin_low(runtime_seconds) AS runtime_seconds,
                          bin_low(memory_bytes) AS memory_bytes, bin_low(cpu_ns / 1e9) AS cpu_seconds
                   FROM jobs WHERE state = 'ok')
          ON runtime_seconds, memory_bytes, cpu_seconds INTO NAME metric VALUE low)
    GROUP BY GROUPING SETS ((instance_id, tool, metric, low), (tool, metric, low), (instance_id, family, metric, low),
                            (family, metric, low)))
JOIN names USING (number);

CREATE TABLE tool_input AS
SELECT coalesce(instance_id, '*') AS instance_id, tool_id, tool_version, low, high, jobs, error, oom,
       runtime[1] AS runtime_p50, runtime[2] AS runtime_p95, memory[1] AS memory_p50, memory[2] AS memory_p95,
       memory_max
FROM (
    SELECT instance_id, coalesce(tool, family) AS number, low, high, count(*) AS jobs,
           count(*) FILTER (state = 'error') AS error, sum(CAST(oom AS INTEGER)) AS oom,
           quantile_disc(runtime_seconds, [0.5, 0.95]) FILTER (state = 'ok') AS runtime,
           quantile_disc(memory_bytes, [0.5, 0.95]) FILTER (state = 'ok') AS memory,
           max(memory_bytes) FILTER (state = 'ok') AS memory_max
    FROM (SELECT *, CAST(octave(input_bytes) AS BIGINT) AS octave, ifnull(octave, 0) AS low,
                 ifnull(octave * 2, 1) AS high
          FROM jobs WHERE input_bytes IS NOT NULL)
    GROUP BY GROUPING SETS ((instance_id, tool, low, high), (tool, low, high), (instance_id, family, low, high),
                            (family, low, high)))
JOIN names USING (number);

CREATE TABLE tool_extension AS
FROM (
    SELECT coalesce(instance_id, '*') AS instance_id, coalesce(tool, family) AS number, type, extension,
           count(*) AS datasets, sum(file_size) FILTER (file_size BETWEEN 0 AND 1125899906842624) AS bytes
    FROM dataset_lines JOIN (SELECT file, job_id, instance_id, tool, family FROM jobs) USING (file, job_id)
    GROUP BY GROUPING SETS ((instance_id, tool, type, extension), (tool, type, extension),
                            (instance_id, family, type, extension), (family, type, extension)))
JOIN names USING (number);

-- Parameters. Of different texts `unfolded`, a function in Python, makes leaves.
CREATE TABLE leaves AS
SELECT name AS param, value AS text, leaf.name, leaf.value, leaf.names_data
FROM (SELECT name, value, unnest(unfolded(name, value)) AS leaf FROM (SELECT DISTINCT name, value FROM param_lines));
CREATE TABLE written AS
SELECT file, job_id, tool, family, state, leaves.name, leaves.value, names_data
FROM param_lines AS lines
JOIN (SELECT file, job_id, tool, family, state FROM jobs) USING (file, job_id)
JOIN leaves ON lines.name = param AND lines.value IS NOT DISTINCT FROM text;
-- The bare ids of inputs of the same job and name say nothing: `input` has input1, input2, …, and the name of a repeat's
-- has a number before each |.
CREATE TABLE bare AS
SELECT file, job_id, name, value
FROM (SELECT DISTINCT file, job_id, name, value FROM written
      WHERE regexp_full_match(value, '[0-9]{1,18}(, ?[0-9]{1,18})*|\[[0-9]{1,18}(, ?[0-9]{1,18})*\]'))
JOIN (SELECT DISTINCT file, job_id, dataset_id,
             unnest([param_name, regexp_replace(param_name, '_[0-9]+\|', '|', 'g')]) AS place
      FROM dataset_lines WHERE type = 'input') USING (file, job_id)
WHERE starts_with(place, name) AND regexp_full_match(place[len(name) + 1 :], '[0-9]*')
GROUP BY ALL
HAVING list_has_all(list(dataset_id), [CAST(id AS BIGINT) FOR id IN regexp_extract_all(value, '[0-9]{1,18}')]);
CREATE TABLE params AS
SELECT DISTINCT file, job_id, tool, family, state, name,
       CASE WHEN bare.job_id IS NULL THEN coalesce(value, '') ELSE '' END AS value,
       names_data OR bare.job_id IS NOT NULL AS names_data
FROM written LEFT JOIN bare USING (file, job_id, name, value);

CREATE TABLE value_counts AS
SELECT coalesce(tool, family) AS number, name, value, count(*) AS jobs, count(*) FILTER (state = 'ok') AS ok,
       count(*) FILTER (state = 'error') AS error
FROM params WHERE NOT names_data GROUP BY GROUPING SETS ((tool, name, value), (family, name, value));
CREATE TABLE param AS
SELECT tool_id, tool_version, name, jobs, coalesce(different, 0) AS distinct_values, naming_datasets
FROM (SELECT coalesce(tool, family) AS number, name, count(DISTINCT (file, job_id)) AS jobs,
             count(*) FILTER (names_data) AS naming_datasets
      FROM params GROUP BY GROUPING SETS ((tool, name), (family, name)))
LEFT JOIN (SELECT number, name, count(*) AS different FROM value_counts GROUP BY ALL) USING (number, name)
JOIN names USING (number);
CREATE TABLE param_value AS
SELECT *, FALSE AS at_least
FROM (FROM value_counts
      QUALIFY row_number() OVER (PARTITION BY number, name ORDER BY jobs DESC, value) <= 100
          AND (jobs > 1 OR count(*) OVER (PARTITION BY number, name) <= 100))
JOIN names USING (number);

-- Instances.
CREATE TABLE instance_month AS
SELECT instance_id, strftime(create_time, '%Y-%m') AS month, count(*) AS jobs, count(*) FILTER (state = 'ok') AS ok,
       count(*) FILTER (state = 'error') AS error, count(*) FILTER (state NOT IN ('ok', 'error')) AS other,
       count(DISTINCT tool_id) AS tools, sum(core_seconds) / 3600 AS core_hours, sum(cpu_ns) / 36e11 AS cpu_hours,
       sum(input_bytes) AS input_bytes, sum(output_bytes) AS output_bytes
FROM jobs JOIN tools ON tool = number GROUP BY ALL;

CREATE TABLE instance_users AS
SELECT instance_id, make_timestamp(CAST(generated * 1000000 AS BIGINT)) AS generated, active, total FROM archives;

-- The growth is the slope of the line through the dates of an instance's archives of the last 90 days and their bytes.
-- They must be of three days, and reach as far back as one looks ahead.
CREATE TABLE instance_status AS
SELECT instance_id, archives, bytes, NULL AS quota_bytes,
       CASE WHEN days >= 3 AND span >= 3 THEN bytes + CAST(floor(3 * growth) AS BIGINT) END AS predicted_3d,
       CASE WHEN days >= 3 AND span >= 7 THEN bytes + CAST(floor(7 * growth) AS BIGINT) END AS predicted_7d,
       1 + CAST(days_silent > 35 AS INTEGER) + CAST(days_silent > 70 AS INTEGER) AS warning,
       counts.* EXCLUDE instance_id, days_silent
FROM (
    SELECT instance_id, count(*) AS archives, max(so_far) AS bytes,
           regr_slope(so_far, generated / 86400) FILTER (newest - generated <= 90 * 86400) AS slope,
           CASE WHEN slope > 0 AND NOT isnan(slope) THEN slope ELSE 0 END AS growth,
           count(DISTINCT floor(generated / 86400)) FILTER (newest - generated <= 90 * 86400) AS days,
           max(newest - generated) FILTER (newest - generated <= 90 * 86400) / 86400 AS span,
           greatest(0, getvariable('as_of') - CAST(to_timestamp(CAST(max(newest) AS DOUBLE)) AS DATE)) AS days_silent
    FROM (SELECT instance_id, generated, max(generated) OVER (PARTITION BY instance_id) AS newest,
                 sum(bytes) OVER (PARTITION BY instance_id ORDER BY file) AS so_far FROM archives)
    GROUP BY ALL)
JOIN (
    SELECT instance_id, count(*) AS jobs, count(*) FILTER (day BETWEEN from_day(7) AND getvariable('as_of')) AS jobs_7d,
           count(*) FILTER (day BETWEEN from_day(30) AND getvariable('as_of')) AS jobs_30d,
           avg(CAST(non_terminal AS INTEGER)) AS non_terminal, avg(CAST(without_metrics AS INTEGER)) AS without_metrics,
           avg(CAST(implausible AS INTEGER)) AS implausible
    FROM jobs GROUP BY ALL) AS counts USING (instance_id);

-- The two-proportion z-test, and for runtimes the same test of the runs above the median of both periods.
CREATE MACRO rise(x, n, x_after, n_after) AS
    (x_after / n_after - x / n)
    / sqrt(nullif((x + x_after) / (n + n_after) * (1 - (x + x_after) / (n + n_after)), 0) * (1 / n + 1 / n_after));
CREATE TABLE tool_change AS
WITH recent AS (
    SELECT instance_id, unnest([tool, family]) AS number, state, day >= from_day(30) AS after,
           CASE WHEN state = 'ok' THEN runtime_seconds END AS runtime
    FROM jobs_of(60)
), everywhere AS (
    FROM recent UNION ALL SELECT '*' AS instance_id, * EXCLUDE instance_id FROM recent
), counts AS (
    SELECT instance_id, number, count(*) FILTER (state IN ('ok', 'error') AND NOT after) AS jobs,
           count(*) FILTER (state IN ('ok', 'error') AND after) AS jobs_after,
           count(*) FILTER (state = 'error' AND NOT after) AS error,
           count(*) FILTER (state = 'error' AND after) AS error_after,
           count(runtime) FILTER (NOT after) AS runs, count(runtime) FILTER (after) AS runs_after,
           quantile_disc(runtime, 0.5) FILTER (NOT after) AS p50,
           quantile_disc(runtime, 0.5) FILTER (after) AS p50_after,
           count(*) FILTER (runtime > median AND NOT after) AS longer,
           count(*) FILTER (runtime > median AND after) AS longer_after
    FROM everywhere
    JOIN (SELECT instance_id, number, quantile_disc(runtime, 0.5) AS median FROM everywhere GROUP BY ALL)
        USING (instance_id, number)
    GROUP BY ALL
), tested AS (
    SELECT *, rise(error, jobs, error_after, jobs_after) AS z, erfc(abs(z) / sqrt(2)) AS p_value,
           erfc(abs(rise(longer, nullif(runs, 0), longer_after, nullif(runs_after, 0))) / sqrt(2)) AS runtime_p_value
    FROM counts WHERE least(jobs, jobs_after) >= 20
), judged AS (
    SELECT *, coalesce(p_value <= 0.01 AND abs(error_after / jobs_after - error / jobs) >= 0.05, FALSE) AS other_rate,
           coalesce(runtime_p_value <= 0.01 AND least(runs, runs_after) >= 20
                    AND greatest(p50, p50_after) >= 1.5 * least(p50, p50_after), FALSE) AS other_runtime
    FROM tested
)
SELECT instance_id, tool_id, tool_version, jobs AS jobs_before, jobs_after, error AS error_before, error_after,
       error / jobs AS error_rate_before, error_after / jobs_after AS error_rate_after,
       error_after / jobs_after - error / jobs AS error_rate_change, z, p_value, runs AS runs_before, runs_after,
       p50 AS runtime_p50_before, p50_after AS runtime_p50_after, p50_after / nullif(p50, 0) AS runtime_ratio,
       runtime_p_value,
       concat_ws(' ', CASE WHEN other_rate THEN 'error_rate' END, CASE WHEN other_runtime THEN 'runtime' END) AS changed
FROM judged JOIN names USING (number) WHERE other_rate OR other_runtime;
