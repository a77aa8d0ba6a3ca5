-- Instances: their popularity, their tools, and whether their exports still arrive. tools counts them over all their
-- versions. What nobody measured is empty, not 0, and so is a sum of nothing but that.

-- name: instance-popularity(period, limit)
-- Which instances are popular? The numbers of users come from the last archive that contains them.
-- tags: instance_id, title
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :limit count = 50               maximum number of rows; 0 for all
WITH used AS (
    SELECT instance_id, sum(jobs) AS jobs, count(*) AS tools, sum(core_hours) AS core_hours
    FROM grt.tool_usage
    WHERE instance_id <> '*' AND tool_version = '*' AND period = :period
    GROUP BY instance_id
),
users AS (
    SELECT DISTINCT ON (instance_id) instance_id, active, total
    FROM grt.instance_users
    WHERE active IS NOT NULL OR total IS NOT NULL
    ORDER BY instance_id, generated DESC
)
SELECT
    instance_id,
    title,
    url,
    coalesce(used.jobs, 0)::bigint AS jobs,
    (used.jobs / sum(used.jobs) OVER ())::float8 AS share_of_jobs,
    coalesce(tools, 0) AS tools,
    core_hours,
    active AS users_active,
    total AS users_total
FROM grt.instance
LEFT JOIN used USING (instance_id)
LEFT JOIN users USING (instance_id)
ORDER BY jobs DESC, instance_id
LIMIT nullif(:limit, 0);

-- name: instances-with-tools(tools, period)
-- Which instances have run these tools? Instances with the most of these tools come first.
-- tags: instance_id, title
-- :tools list                     ids or short names, separated by commas
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
WITH wanted AS (
    SELECT DISTINCT asked FROM unnest(:tools::text[]) AS asked
),
ran AS (
    SELECT instance_id, asked, sum(jobs) AS jobs, max(last_job) AS last_job
    FROM wanted
    JOIN grt.tool ON asked IN (
        tool_id, concat_ws('/', shed || '/repos', owner, repository, name), owner || '/' || name, name
    )
    JOIN grt.tool_usage USING (tool_id, tool_version)
    WHERE instance_id <> '*' AND period = :period
    GROUP BY instance_id, asked
)
SELECT
    instance_id,
    title,
    url,
    count(ran.asked) AS tools,
    string_agg(wanted.asked, ', ' ORDER BY wanted.asked) FILTER (WHERE ran.asked IS NULL) AS missing,
    sum(ran.jobs)::bigint AS jobs,
    max(last_job)::date AS last_used
FROM grt.instance
CROSS JOIN wanted
LEFT JOIN ran USING (instance_id, asked)
GROUP BY instance_id, title, url
HAVING count(ran.asked) > 0
ORDER BY tools DESC, jobs DESC, instance_id;

-- name: instance-statistics(instance)
-- What did each instance do, in total and recently?
-- tags: instance_id, title
-- :instance text = *              id of an instance, or * for every instance
WITH months AS (
    SELECT
        instance_id,
        sum(ok) AS ok,
        sum(error) AS error,
        sum(core_hours) AS core_hours,
        sum(cpu_hours) AS cpu_hours,
        sum(output_bytes) AS output_bytes
    FROM grt.instance_month
    GROUP BY instance_id
),
used AS (
    SELECT instance_id, count(*) AS tools
    FROM grt.tool_usage
    WHERE period = 'all' AND tool_version = '*'
    GROUP BY instance_id
),
users AS (
    SELECT DISTINCT ON (instance_id) instance_id, active, total
    FROM grt.instance_users
    WHERE active IS NOT NULL OR total IS NOT NULL
    ORDER BY instance_id, generated DESC
)
SELECT
    instance_id,
    title,
    public,
    instance.jobs,
    jobs_30d,
    jobs_7d,
    coalesce(tools, 0) AS tools,
    (error / nullif(ok + error, 0))::float8 AS error_rate,
    core_hours,
    cpu_hours,
    (output_bytes / 1e12)::float8 AS output_tb,
    active AS users_active,
    total AS users_total,
    first_generated,
    last_generated
FROM grt.instance
LEFT JOIN grt.instance_status USING (instance_id)
LEFT JOIN months USING (instance_id)
LEFT JOIN used USING (instance_id)
LEFT JOIN users USING (instance_id)
WHERE :instance IN ('*', instance_id)
ORDER BY instance.jobs DESC, instance_id;

-- name: instance-exports(instance)
-- Does every export still arrive, does it fit its quota, and can its numbers be trusted? The worst come first.
-- warning is 1 for ok, 2 for kinda ok, 3 for not ok. A GB is 10^9 bytes.
-- tags: instance_id, title
-- :instance text = *              id of an instance, or * for every instance
SELECT
    instance_id,
    title,
    archives,
    last_generated,
    days_silent,
    warning,
    (bytes / 1e9)::float8 AS archives_gb,
    (quota_bytes / 1e9)::float8 AS quota_gb,
    (predicted_7d / 1e9)::float8 AS predicted_7d_gb,
    instance_status.jobs,
    non_terminal AS share_non_terminal,
    without_metrics AS share_without_metrics,
    implausible AS share_implausible
FROM grt.instance_status
JOIN grt.instance USING (instance_id)
WHERE :instance IN ('*', instance_id)
ORDER BY warning DESC, days_silent DESC NULLS FIRST, instance_id;
