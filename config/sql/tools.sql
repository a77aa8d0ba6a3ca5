-- Tools: how often they run, and how often they fail. docs/queries.md describes the format of these files.
-- A tool without its version is its id without the version of the Tool Shed: host/repos/owner/repository/name.

-- name: tool-usage(instance, period, tool, limit)
-- Which tools run most often, and how often do they fail?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
SELECT tool_id, tool_version, jobs, ok, error, other, error_rate, instances, core_hours, cpu_hours, first_job, last_job
FROM grt.tool_usage
WHERE instance_id = :instance AND period = :period AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY jobs DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-popularity(instance, months, top)
-- Which tools, with all versions together, ran most often in each of the last months?
-- :instance text = *              id of an instance, or * for all instances together
-- :months count = 24              number of months, back from the last month with a job
-- :top count = 10                 number of tools per month
WITH monthly AS (
    SELECT
        to_char(day, 'YYYY-MM') AS month,
        concat_ws('/', shed || '/repos', owner, repository, name) AS tool,
        sum(jobs) AS jobs,
        count(DISTINCT instance_id) AS instances
    FROM grt.tool_day
    JOIN grt.tool USING (tool_id, tool_version)
    WHERE :instance IN ('*', instance_id) AND day IS NOT NULL
    GROUP BY 1, 2
),
ranked AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY month DESC) AS months_back,
        row_number() OVER (PARTITION BY month ORDER BY jobs DESC, tool) AS rank
    FROM monthly
)
SELECT month, rank, tool, jobs, instances
FROM ranked
WHERE months_back <= :months AND rank <= :top
ORDER BY month DESC, rank;

-- name: tool-popular-recently(instance, period, limit)
-- Which tools, with all versions together, were popular recently, and more popular than overall?
-- times_as_popular is the tool's share of recent jobs divided by its share of all jobs.
-- :instance text = *              id of an instance, or * for all instances together
-- :period 30d|7d = 30d            the last 30 or 7 days
-- :limit count = 50               maximum number of rows; 0 for all
WITH counted AS (
    SELECT
        concat_ws('/', shed || '/repos', owner, repository, name) AS tool,
        sum(jobs) FILTER (WHERE period = :period) AS jobs,
        sum(jobs) FILTER (WHERE period = 'all') AS jobs_ever
    FROM grt.tool_usage
    JOIN grt.tool USING (tool_id, tool_version)
    WHERE instance_id = :instance
    GROUP BY 1
),
shares AS (
    SELECT
        *,
        (jobs / sum(jobs) OVER ())::float8 AS share_of_jobs,
        (jobs_ever / sum(jobs_ever) OVER ())::float8 AS share_of_jobs_ever
    FROM counted
)
SELECT tool, jobs, share_of_jobs, jobs_ever, share_of_jobs_ever, share_of_jobs / share_of_jobs_ever AS times_as_popular
FROM shares
WHERE jobs > 0
ORDER BY jobs DESC, tool
LIMIT nullif(:limit, 0);

-- name: tool-last-used-date(instance, tool, limit)
-- When was each tool last used?
-- :instance text = *              id of an instance, or * for all instances together
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
SELECT tool_id, tool_version, last_job::date AS last_used, jobs, instances
FROM grt.tool_usage
WHERE instance_id = :instance AND period = 'all' AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY last_job DESC NULLS LAST, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-errors(instance, period, tool, limit)
-- Which tools cause the most errors, how often do they fail, and what is their share of all failed jobs?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = 30d        all jobs, or those of the last 30 or 7 days
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
WITH failed AS (
    SELECT *, (error / sum(error) OVER ())::float8 AS share_of_errors
    FROM grt.tool_usage
    WHERE instance_id = :instance AND period = :period AND error > 0
)
SELECT tool_id, tool_version, jobs, ok, error, error_rate, share_of_errors, instances, last_job
FROM failed
WHERE strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY error DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-likely-broken(instance, period, limit)
-- Which tools are likely broken, with more than 4 finished jobs and over 95 percent of them in error?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = 30d        all jobs, or those of the last 30 or 7 days
-- :limit count = 50               maximum number of rows; 0 for all
SELECT tool_id, tool_version, jobs, ok, error, error_rate, instances, first_job, last_job
FROM grt.tool_usage
WHERE instance_id = :instance AND period = :period AND likely_broken
ORDER BY error DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-changes(instance, tool, change, limit)
-- Which tools changed their error rate or runtime in the last 30 days, compared with the 30 days before?
-- :instance text = *              id of an instance, or * for all instances together
-- :tool text = ''                 part of the tool's id
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
    instance_id = :instance AND strpos(lower(tool_id), lower(:tool)) > 0
    AND (:change = 'all' OR :change = ANY (string_to_array(changed, ' ')))
ORDER BY abs(error_rate_change) * jobs_after DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);
