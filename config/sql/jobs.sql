-- Jobs by month and by state. The month is that of the job's creation, in UTC; a job without that date has no month.
-- What nobody measured is empty, not 0, and so is a sum of nothing but that.

-- name: monthly-jobs(instance, year)
-- How many jobs ran in each month, and how many of them failed?
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    sum(jobs)::bigint AS jobs,
    sum(ok)::bigint AS ok,
    sum(error)::bigint AS error,
    sum(other)::bigint AS other,
    (sum(error) / nullif(sum(ok) + sum(error), 0))::float8 AS error_rate,
    count(*) FILTER (WHERE jobs > 0) AS instances
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: monthly-cpu-years(instance, year)
-- How many years of computing did each month take? A year has 365 days.
-- core_years is runtime times cores, gxadmin's cpu_years; cpu_years is the measured CPU time, of jobs that have it.
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    sum(core_hours) / (365 * 24) AS core_years,
    sum(cpu_hours) / (365 * 24) AS cpu_years,
    sum(jobs)::bigint AS jobs
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: monthly-cpu-stats(instance, year)
-- How many years and hours of computing did each month take, and how well were the cores used? A year has 365 days.
-- core_years and core_hours are runtime times cores, gxadmin's cpu_years and cpu_hours; here, those with cpu are the
-- measured CPU time, of jobs that have it.
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    sum(core_hours) / (365 * 24) AS core_years,
    sum(core_hours) AS core_hours,
    sum(cpu_hours) / (365 * 24) AS cpu_years,
    sum(cpu_hours) AS cpu_hours,
    sum(jobs)::bigint AS jobs
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: tpt-tool-cpu(instance, startyear, endyear, tool, version, limit)
-- How many hours of computing did each tool take in each month?
-- core_hours is runtime times cores; cpu_hours is the measured CPU time, of jobs that have it.
-- :instance text = *              id of an instance, or * for all instances together
-- :startyear count = 0            the first year
-- :endyear count = 9999           the last year
-- :tool tool = ''                 part of the tool's id
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
    (sum(core_seconds) / 3600)::float8 AS core_hours,
    (sum(cpu_seconds) / 3600)::float8 AS cpu_hours,
    sum(jobs)::bigint AS jobs
FROM grt.tool_day
JOIN asked USING (tool_id, tool_version)
WHERE
    :instance IN ('*', instance_id) AND extract(year FROM day) BETWEEN :startyear AND :endyear AND asked_id ~* :tool
GROUP BY 1, 2, 3
ORDER BY month DESC, core_hours DESC NULLS LAST, 2, 3
LIMIT nullif(:limit, 0);

-- name: monthly-data(instance, year)
-- How much data did the jobs of each month read and write? A TB is 10^12 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    (sum(input_bytes) / 1e12)::float8 AS input_tb,
    (sum(output_bytes) / 1e12)::float8 AS output_tb,
    sum(jobs)::bigint AS jobs
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: total-jobs(instance)
-- How many jobs are there in each state? The state is that of the export.
-- tags: state
-- :instance text = *              id of an instance, or * for all instances together
SELECT
    state,
    sum(jobs)::bigint AS jobs,
    (sum(jobs) / sum(sum(jobs)) OVER ())::float8 AS share_of_jobs,
    (sum(runtime_seconds) / 3600)::float8 AS runtime_hours,
    min(day) AS first_day,
    max(day) AS last_day
FROM grt.tool_day
WHERE :instance IN ('*', instance_id)
GROUP BY state
ORDER BY jobs DESC, state;

-- name: job-state-stats(instance, days)
-- In which states are the jobs of each day? The day is that of the job's creation, the state that of the export.
-- :instance text = *              id of an instance, or * for all instances together
-- :days count = 30                number of days, back from the last day with a job
WITH daily AS (
    SELECT day, state, jobs, max(day) OVER () AS last_day
    FROM grt.tool_day
    WHERE :instance IN ('*', instance_id) AND day IS NOT NULL
)
SELECT
    day AS date,
    sum(jobs * (state = 'new')::int)::bigint AS new,
    sum(jobs * (state = 'running')::int)::bigint AS running,
    sum(jobs * (state = 'queued')::int)::bigint AS queued,
    sum(jobs * (state = 'upload')::int)::bigint AS upload,
    sum(jobs * (state = 'ok')::int)::bigint AS ok,
    sum(jobs * (state = 'error')::int)::bigint AS error,
    sum(jobs * (state = 'paused')::int)::bigint AS paused,
    sum(jobs * (state = 'stopped')::int)::bigint AS stopped,
    sum(jobs * (state = 'deleted')::int)::bigint AS deleted,
    sum(jobs * (state NOT IN (
        'new', 'running', 'queued', 'upload', 'ok', 'error', 'paused', 'stopped', 'deleted'
    ))::int)::bigint AS other,
    sum(jobs)::bigint AS jobs
FROM daily
WHERE last_day - day < :days
GROUP BY day
ORDER BY day DESC;
