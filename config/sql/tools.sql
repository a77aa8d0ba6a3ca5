-- Tools: how often they run, and how often they fail. docs/queries.md describes the format of these files.
-- The version * is a tool over all its versions; its id is then without the version. A job without a date of creation
-- has no month or year. What nobody measured is empty, not 0, and so is a sum of nothing but that.

-- name: tool-usage(instance, period, tool, version, limit)
-- Which tools run most often, and how often do they fail? oom counts the jobs that were killed for memory.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    jobs,
    ok,
    error,
    other,
    error_rate,
    oom,
    instances,
    core_hours,
    cpu_hours,
    first_job,
    last_job
FROM grt.tool_usage
WHERE
    instance_id = :instance AND period = :period AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY jobs DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tools-usage(instance, year, tools, version, limit)
-- How often did these tools run, in all or in a year?
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
-- :tools list = *                 ids or short names, separated by commas; * for all
-- :version version = *            their version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
WITH known AS (
    SELECT *, concat_ws('/', shed || '/repos', owner, repository, name) AS unversioned FROM grt.tool
),
asked AS (
    SELECT
        tool_id,
        tool_version,
        CASE :version WHEN '*' THEN unversioned ELSE tool_id END AS asked_id,
        CASE :version WHEN '*' THEN '*' ELSE tool_version END AS asked_version
    FROM known
    WHERE
        :version IN ('*', 'each', tool_version)
        AND ARRAY['*', tool_id, unversioned, owner || '/' || name, name] && :tools::text[]
)
SELECT
    asked_id AS tool_id,
    asked_version AS tool_version,
    sum(jobs)::bigint AS jobs,
    count(DISTINCT instance_id) AS instances,
    (sum(core_seconds) / 3600)::float8 AS core_hours,
    (sum(cpu_seconds) / 3600)::float8 AS cpu_hours
FROM grt.tool_day
JOIN asked USING (tool_id, tool_version)
WHERE :instance IN ('*', instance_id) AND :year IN (0, extract(year FROM day)::bigint)
GROUP BY 1, 2
ORDER BY jobs DESC, 1, 2
LIMIT nullif(:limit, 0);

-- name: tools-usage-per-month(instance, startmonth, endmonth, tools, version, limit)
-- How often did these tools run in each month?
-- :instance text = *              id of an instance, or * for all instances together
-- :startmonth month = ''          the first month; '' for 11 months before the last month with a job
-- :endmonth month = ''            the last month; '' for the last with a job
-- :tools list = *                 ids or short names, separated by commas; * for all
-- :version version = *            their version; * for all together, each for each by itself
-- :limit count = 200              maximum number of rows; 0 for all
WITH known AS (
    SELECT *, concat_ws('/', shed || '/repos', owner, repository, name) AS unversioned FROM grt.tool
),
asked AS (
    SELECT
        tool_id,
        tool_version,
        CASE :version WHEN '*' THEN unversioned ELSE tool_id END AS asked_id,
        CASE :version WHEN '*' THEN '*' ELSE tool_version END AS asked_version
    FROM known
    WHERE
        :version IN ('*', 'each', tool_version)
        AND ARRAY['*', tool_id, unversioned, owner || '/' || name, name] && :tools::text[]
),
latest AS MATERIALIZED (
    SELECT max(day) AS day FROM grt.tool_day
)
SELECT
    to_char(tool_day.day, 'YYYY-MM') AS month,
    asked_id AS tool_id,
    asked_version AS tool_version,
    sum(jobs)::bigint AS jobs,
    count(DISTINCT instance_id) AS instances
FROM grt.tool_day
JOIN asked USING (tool_id, tool_version)
CROSS JOIN latest
WHERE
    :instance IN ('*', instance_id)
    AND to_char(tool_day.day, 'YYYY-MM') >= coalesce(:startmonth, to_char(latest.day - interval '11 months', 'YYYY-MM'))
    AND to_char(tool_day.day, 'YYYY-MM') <= coalesce(:endmonth, to_char(latest.day, 'YYYY-MM'))
GROUP BY 1, 2, 3
ORDER BY month DESC, jobs DESC, 2, 3
LIMIT nullif(:limit, 0);

-- name: tool-usage-over-time(tool, instance, version, limit)
-- How did the use of a tool develop, month by month?
-- :tool tool                      part of the tool's id
-- :instance text = *              id of an instance, or * for all instances together
-- :version version = *            its version; * for all together, each for each by itself
-- :limit count = 200              maximum number of rows; 0 for all
WITH asked AS (
    SELECT
        tool_id,
        tool_version,
        CASE :version
            WHEN '*' THEN concat_ws('/', shed || '/repos', owner, repository, name) ELSE tool_id
        END AS asked_id,
        CASE :version WHEN '*' THEN '*' ELSE tool_version END AS asked_version
    FROM grt.tool
    WHERE :version IN ('*', 'each', tool_version)
)
SELECT
    to_char(day, 'YYYY-MM') AS month,
    asked_id AS tool_id,
    asked_version AS tool_version,
    sum(jobs)::bigint AS jobs,
    count(DISTINCT instance_id) AS instances
FROM grt.tool_day
JOIN asked USING (tool_id, tool_version)
WHERE :instance IN ('*', instance_id) AND day IS NOT NULL AND asked_id ~* :tool
GROUP BY 1, 2, 3
ORDER BY month DESC, jobs DESC, 2, 3
LIMIT nullif(:limit, 0);

-- name: tool-popularity(instance, months, top, version)
-- Which tools ran most often in each of the last months?
-- :instance text = *              id of an instance, or * for all instances together
-- :months count = 24              number of months, back from the last month with a job
-- :top count = 10                 number of tools per month
-- :version version = *            their version; * for all together, each for each by itself
WITH asked AS (
    SELECT
        tool_id,
        tool_version,
        CASE :version
            WHEN '*' THEN concat_ws('/', shed || '/repos', owner, repository, name) ELSE tool_id
        END AS asked_id,
        CASE :version WHEN '*' THEN '*' ELSE tool_version END AS asked_version
    FROM grt.tool
    WHERE :version IN ('*', 'each', tool_version)
),
monthly AS (
    SELECT
        to_char(day, 'YYYY-MM') AS month,
        asked_id AS tool_id,
        asked_version AS tool_version,
        sum(jobs)::bigint AS jobs,
        count(DISTINCT instance_id) AS instances
    FROM grt.tool_day
    JOIN asked USING (tool_id, tool_version)
    WHERE :instance IN ('*', instance_id) AND day IS NOT NULL
    GROUP BY 1, 2, 3
),
ranked AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY month DESC) AS months_back,
        row_number() OVER (PARTITION BY month ORDER BY jobs DESC, tool_id, tool_version) AS rank
    FROM monthly
)
SELECT month, rank, tool_id, tool_version, jobs, instances
FROM ranked
WHERE months_back <= :months AND rank <= :top
ORDER BY month DESC, rank;

-- name: tool-popular-recently(instance, period, version, limit)
-- Which tools were popular recently, and more popular than overall?
-- times_as_popular is the tool's share of recent jobs divided by its share of all jobs.
-- :instance text = *              id of an instance, or * for all instances together
-- :period 30d|7d = 30d            the last 30 or 7 days
-- :version version = *            their version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
WITH counted AS (
    SELECT
        tool_id,
        tool_version,
        sum(jobs) FILTER (WHERE period = :period) AS jobs,
        sum(jobs) FILTER (WHERE period = 'all') AS jobs_ever
    FROM grt.tool_usage
    WHERE
        instance_id = :instance
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
    GROUP BY tool_id, tool_version
),
shares AS (
    SELECT
        *,
        (jobs / sum(jobs) OVER ())::float8 AS share_of_jobs,
        (jobs_ever / sum(jobs_ever) OVER ())::float8 AS share_of_jobs_ever
    FROM counted
)
SELECT
    tool_id,
    tool_version,
    jobs::bigint,
    share_of_jobs,
    jobs_ever::bigint,
    share_of_jobs_ever,
    share_of_jobs / share_of_jobs_ever AS times_as_popular
FROM shares
WHERE jobs > 0
ORDER BY jobs DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-last-used-date(instance, tool, version, limit)
-- When was each tool last used?
-- tags: tool_id, tool_version
-- :instance text = *              id of an instance, or * for all instances together
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
SELECT tool_id, tool_version, last_job::date AS last_used, jobs, instances
FROM grt.tool_usage
WHERE
    instance_id = :instance AND period = 'all' AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY last_job DESC NULLS LAST, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-errors(instance, period, tool, version, limit)
-- Which tools cause the most errors, how often do they fail, and what is their share of all failed jobs?
-- oom counts the jobs that were killed for memory; it is empty where nothing could tell.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = 30d        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
WITH failed AS (
    SELECT *, (error / sum(error) OVER ())::float8 AS share_of_errors
    FROM grt.tool_usage
    WHERE
        instance_id = :instance AND period = :period AND error > 0
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
)
SELECT tool_id, tool_version, jobs, ok, error, oom, error_rate, share_of_errors, instances, last_job
FROM failed
WHERE tool_id ~* :tool
ORDER BY error DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-new-errors(instance, weeks, tool, version, limit)
-- Which new tools fail? A tool is new if its first job is one of the last weeks; so is a new version by itself.
-- :instance text = *              id of an instance, or * for all instances together
-- :weeks count = 4                number of weeks, back from the last job
-- :tool tool = ''                 part of the tool's id
-- :version version = each         its version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
WITH newest AS (
    SELECT max(last_job) AS newest FROM grt.tool_usage WHERE instance_id = :instance AND period = 'all'
)
SELECT tool_id, tool_version, jobs, ok, error, oom, error_rate, instances, first_job, last_job
FROM grt.tool_usage
CROSS JOIN newest
WHERE
    instance_id = :instance AND period = 'all' AND error > 0 AND tool_id ~* :tool
    AND first_job > newest - least(:weeks, 5000) * interval '1 week'
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY error_rate DESC, error DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-oom(instance, period, tool, version, limit)
-- Which tools need more memory than they get? oom counts the jobs that were killed for memory; share_of_jobs is oom /
-- jobs, and too low where some jobs could not tell. The memory is that of the jobs in state ok: those that were killed
-- needed more. A GB is 10^9 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
WITH memory AS (
    SELECT * FROM grt.tool_metric WHERE metric = 'memory_bytes'
),
allocated AS (
    SELECT * FROM grt.tool_metric WHERE metric = 'allocated_memory_bytes'
)
SELECT
    tool_id,
    tool_version,
    used.jobs,
    used.error,
    used.oom,
    used.oom::float8 / used.jobs AS share_of_jobs,
    (memory.p50 / 1e9)::float8 AS memory_p50_gb,
    (memory.p95 / 1e9)::float8 AS memory_p95_gb,
    (memory.maximum / 1e9)::float8 AS memory_max_gb,
    (allocated.p50 / 1e9)::float8 AS allocated_p50_gb,
    (allocated.maximum / 1e9)::float8 AS allocated_max_gb,
    used.instances,
    used.last_job
FROM grt.tool_usage AS used
LEFT JOIN memory USING (instance_id, period, tool_id, tool_version)
LEFT JOIN allocated USING (instance_id, period, tool_id, tool_version)
WHERE
    instance_id = :instance AND period = :period AND used.oom > 0 AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY used.oom DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-likely-broken(instance, period, version, limit)
-- Which tools are likely broken, with more than 4 finished jobs and over 95 percent of them in error?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = 30d        all jobs, or those of the last 30 or 7 days
-- :version version = each         their version; * for all together, each for each by itself
-- :limit count = 50               maximum number of rows; 0 for all
SELECT tool_id, tool_version, jobs, ok, error, error_rate, instances, first_job, last_job
FROM grt.tool_usage
WHERE
    instance_id = :instance AND period = :period AND likely_broken
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY error DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-changes(instance, tool, version, change, limit)
-- Which tools changed their error rate or runtime in the last 30 days, compared with the 30 days before?
-- tags: tool_id, tool_version
-- :instance text = *              id of an instance, or * for all instances together
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :change error_rate|runtime|all = all    the quantity that changed
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    changed,
    jobs_before,
    jobs_after,
    error_rate_before,
    error_rate_after,
    p_value,
    runtime_p50_before AS runtime_p50_before_seconds,
    runtime_p50_after AS runtime_p50_after_seconds,
    runtime_ratio
FROM grt.tool_change
WHERE
    instance_id = :instance AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
    AND (:change = 'all' OR :change = ANY (string_to_array(changed, ' ')))
ORDER BY abs(error_rate_change) * jobs_after DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);
