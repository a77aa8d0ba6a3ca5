WITH versions AS (
    FROM datasets UNION ALL SELECT * REPLACE (versionless(tool_id) AS tool_id, '*' AS tool_version) FROM datasets
)
SELECT instance_id, tool_id, tool_version, type, extension, count(*) AS datasets, sum(file_size) AS bytes
FROM (FROM versions UNION ALL SELECT * REPLACE ('*' AS instance_id) FROM versions)
GROUP BY ALL
