-- Of more than 1000 values which 1000 are kept is the program's affair; their jobs are all counted.
WITH counts AS (
    SELECT *, count(*) OVER (PARTITION BY tool_id, tool_version, name) AS number
    FROM (SELECT tool_id, tool_version, name, coalesce(plain, '') AS value, count(*) AS jobs,
                 count(*) FILTER (WHERE state = 'ok') AS ok, count(*) FILTER (WHERE state = 'error') AS error,
                 count(DISTINCT instance_id) AS instances,
                 count(DISTINCT instance_id) FILTER (WHERE public) AS public_instances
          FROM said JOIN publicity USING (instance_id) WHERE NOT names_data GROUP BY ALL)
), told AS (
    SELECT coalesce(tool_id, '') AS tool_id, coalesce(tool_version, '') AS tool_version, coalesce(name, '') AS name,
           coalesce(value, '') AS value,
           count(*) OVER (PARTITION BY tool_id, tool_version, name) AS number
    FROM published('param_value')
)
SELECT * EXCLUDE number FROM counts WHERE number <= 1000
UNION ALL
SELECT counts.* EXCLUDE number FROM counts JOIN told USING (tool_id, tool_version, name, value)
WHERE counts.number > 1000 AND told.number = 1000
