-- The bins are the program's own; which jobs are in them is counted again. A value goes to the last bin that begins at
-- or below it: where bins overlap, or leave a gap, the counts differ.
WITH bins AS (
    SELECT instance_id, coalesce(tool_id, '') AS tool_id, coalesce(tool_version, '') AS tool_version, metric,
           CAST(low AS DOUBLE) AS low, CAST(high AS DOUBLE) AS high, exactly(low) AS from_, exactly(high) AS below
    FROM published('tool_histogram')
)
SELECT measured.instance_id, measured.tool_id, measured.tool_version, measured.metric,
       CASE WHEN exact < below THEN low END AS low, CASE WHEN exact < below THEN high END AS high,
       count(*) AS jobs
FROM measured ASOF LEFT JOIN bins
    ON measured.instance_id = bins.instance_id AND escaped(measured.tool_id) = bins.tool_id
        AND escaped(measured.tool_version) = bins.tool_version AND measured.metric = bins.metric
        AND measured.exact >= bins.from_
WHERE measured.metric IN ('runtime_seconds', 'memory_bytes', 'cpu_seconds')
GROUP BY ALL
