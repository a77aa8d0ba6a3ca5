-- The number of different values is an estimate where they are sampled: within 5 standard errors of 1 / sqrt(1000).
WITH exact AS (
    SELECT tool_id, tool_version, name, count(*) AS jobs,
           count(DISTINCT coalesce(plain, '')) FILTER (WHERE NOT names_data) AS number,
           count(*) FILTER (WHERE names_data) AS naming_datasets, count(DISTINCT instance_id) AS instances,
           count(DISTINCT instance_id) FILTER (WHERE public) AS public_instances
    FROM said JOIN publicity USING (instance_id) GROUP BY ALL
), told AS (
    SELECT coalesce(tool_id, '') AS tool_id, coalesce(tool_version, '') AS tool_version, coalesce(name, '') AS name,
           CAST("values" AS BIGINT) AS estimate
    FROM published('param')
)
SELECT tool_id, tool_version, name, jobs,
       CASE WHEN number > 1000 AND abs(estimate - number) < 0.16 * number THEN estimate ELSE number END AS values,
       number > 1000 AS sampled, naming_datasets, instances, public_instances
FROM exact LEFT JOIN told USING (tool_id, tool_version, name)
