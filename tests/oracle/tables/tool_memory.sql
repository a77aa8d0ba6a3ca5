-- The bins of memory are the program's own, as in tool_histogram; those of sizes are computed as in tool_input.
WITH bins AS (
    SELECT instance_id, coalesce(tool_id, '') AS tool_id, coalesce(low, '') AS size, CAST(memory_low AS HUGEINT) AS from_,
           CAST(memory_high AS HUGEINT) AS below
    FROM published('tool_memory')
), needed AS (
    SELECT instance_id, tool_id, memory_bytes, state, runtime,
           CASE WHEN input_bytes = 0 THEN 0 ELSE 1::HUGEINT << (length(bin(input_bytes)) - 1) END AS low,
           1::HUGEINT << length(ltrim(bin(input_bytes), '0')) AS high
    FROM everywhere
    WHERE tool_version = '*' AND memory_bytes IS NOT NULL AND (state = 'ok' OR state = 'error' AND oom)
)
SELECT needed.instance_id, needed.tool_id, low, high,
       CASE WHEN memory_bytes < below THEN from_ END AS memory_low,
       CASE WHEN memory_bytes < below THEN below END AS memory_high,
       count(*) FILTER (WHERE state = 'ok') AS jobs, count(*) FILTER (WHERE state = 'error') AS killed,
       in_seconds(sum(runtime) FILTER (WHERE state = 'ok')) AS runtime_seconds
FROM needed ASOF LEFT JOIN bins
    ON needed.instance_id = bins.instance_id AND escaped(needed.tool_id) = bins.tool_id
        AND coalesce(CAST(needed.low AS TEXT), '') = bins.size AND needed.memory_bytes >= bins.from_
GROUP BY ALL
