-- Jobs by month and by state. The month is that of the job's creation, in UTC; a job without that date has no month.

-- name: monthly-jobs(instance, year)
-- How many jobs ran in each month, and how many of them failed?
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    sum(jobs) AS jobs,
    sum(ok) AS ok,
    sum(error) AS error,
    sum(other) AS other,
    (sum(error) / nullif(sum(ok) + sum(error), 0))::float8 AS error_rate,
    count(*) FILTER (WHERE jobs > 0) AS instances
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: monthly-cpu-years(instance, year)
-- How many years of computing did each month take? A year has 365 days.
-- core_years is runtime times cores; cpu_years is the measured CPU time, of jobs that have it.
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    sum(core_hours) / (365 * 24) AS core_years,
    sum(cpu_hours) / (365 * 24) AS cpu_years,
    sum(jobs) AS jobs
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: monthly-data(instance, year)
-- How much data did the jobs of each month read and write? A TB is 10^12 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :year count = 0                 a year; 0 for all
SELECT
    month,
    (sum(input_bytes) / 1e12)::float8 AS input_tb,
    (sum(output_bytes) / 1e12)::float8 AS output_tb,
    sum(jobs) AS jobs
FROM grt.instance_month
WHERE :instance IN ('*', instance_id) AND :year IN (0, left(month, 4)::bigint)
GROUP BY month
ORDER BY month DESC NULLS LAST;

-- name: total-jobs(instance)
-- How many jobs are there in each state? The state is that of the export.
-- :instance text = *              id of an instance, or * for all instances together
SELECT
    state,
    sum(jobs) AS jobs,
    (sum(jobs) / sum(sum(jobs)) OVER ())::float8 AS share_of_jobs,
    (sum(runtime_seconds) / 3600)::float8 AS runtime_hours,
    min(day) AS first_day,
    max(day) AS last_day
FROM grt.tool_day
WHERE :instance IN ('*', instance_id)
GROUP BY state
ORDER BY jobs DESC, state;
