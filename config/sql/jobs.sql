-- Jobs by month and by state. Months are those of the jobs' creation, UTC; jobs without that date have no month.

-- name: monthly-jobs(instance, year)
-- How many jobs ran in each month, and how many of them failed?
-- :instance text = *              id of an instance, or * for all together
-- :year count = 0                 one year; 0 for all
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
-- core_years is the runtime times the cores of each job, cpu_years what the CPUs measured, where they did.
-- :instance text = *              id of an instance, or * for all together
-- :year count = 0                 one year; 0 for all
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
-- How much data did the jobs of each month read and write? TB are 10^12 bytes.
-- :instance text = *              id of an instance, or * for all together
-- :year count = 0                 one year; 0 for all
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
-- How many jobs are there, by the state in which they were exported?
-- :instance text = *              id of an instance, or * for all together
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
