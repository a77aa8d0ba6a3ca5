WITH named AS (
    SELECT instance_id, job_id, coalesce(name, '') AS name, coalesce(value, '') AS value, names_data,
           coalesce(unnest([tool_id, versionless(tool_id)]), '') AS tool_id,
           coalesce(unnest([tool_version, '*']), '') AS tool_version
    FROM leaf
), counts AS (
    SELECT *, row_number() OVER parameter AS place, count(*) OVER (PARTITION BY tool_id, tool_version, name) AS number
    FROM (SELECT tool_id, tool_version, name, value, count(DISTINCT (instance_id, job_id)) AS used
          FROM named WHERE NOT names_data GROUP BY ALL)
    WINDOW parameter AS (PARTITION BY tool_id, tool_version, name ORDER BY used DESC, value)
), listed AS (
    SELECT tool_id, tool_version, name, number,
           sum(used) FILTER (place <= getvariable('popular_values')
                             AND (used > 1 OR number <= getvariable('popular_values'))) AS used
    FROM counts GROUP BY ALL
)
SELECT tool_id, tool_version, name, count(DISTINCT (instance_id, job_id)) AS jobs,
       coalesce(any_value(number), 0) AS distinct_values, CAST(coalesce(any_value(used), 0) AS BIGINT) AS listed_jobs,
       count(DISTINCT (instance_id, job_id)) FILTER (names_data) AS naming_datasets,
       count(DISTINCT instance_id) AS instances, count(DISTINCT instance_id) FILTER (public) AS public_instances
FROM named JOIN publicity USING (instance_id) LEFT JOIN listed USING (tool_id, tool_version, name)
GROUP BY ALL
