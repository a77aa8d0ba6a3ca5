SELECT instance_id, tool_id, tool_version, type, extension, count(*) AS datasets, coalesce(sum(file_size), 0) AS bytes
FROM (FROM datasets UNION ALL SELECT * REPLACE ('*' AS instance_id) FROM datasets)
GROUP BY ALL
