-- No parameter here has so many values that any were let go.
WITH named AS (
    SELECT instance_id, job_id, state, coalesce(name, '') AS name, coalesce(value, '') AS value,
           coalesce(unnest([tool_id, versionless(tool_id)]), '') AS tool_id,
           coalesce(unnest([tool_version, '*']), '') AS tool_version
    FROM leaf WHERE NOT names_data
)
SELECT tool_id, tool_version, name, value, count(DISTINCT (instance_id, job_id)) AS jobs, FALSE AS at_least,
       count(DISTINCT (instance_id, job_id)) FILTER (state = 'ok') AS ok,
       count(DISTINCT (instance_id, job_id)) FILTER (state = 'error') AS error,
       count(DISTINCT instance_id) AS instances, count(DISTINCT instance_id) FILTER (public) AS public_instances
FROM named JOIN publicity USING (instance_id)
GROUP BY tool_id, tool_version, name, value
QUALIFY row_number() OVER (PARTITION BY tool_id, tool_version, name ORDER BY jobs DESC, value)
        <= getvariable('popular_values')
    AND (jobs > 1 OR count(*) OVER (PARTITION BY tool_id, tool_version, name) <= getvariable('popular_values'))
