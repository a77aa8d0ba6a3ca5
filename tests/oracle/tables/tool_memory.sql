-- Sizes as in tool_input. Each power of two of memory is cut into eight, as far as integers go.
WITH needed AS (
    SELECT instance_id, tool_id, state, runtime, memory_bytes,
           CASE WHEN input_bytes = 0 THEN 0 ELSE 1::HUGEINT << (length(bin(input_bytes)) - 1) END AS low,
           1::HUGEINT << length(ltrim(bin(input_bytes), '0')) AS high,
           CASE WHEN memory_bytes < 16 THEN 1 ELSE 1::HUGEINT << (length(bin(memory_bytes)) - 4) END AS width
    FROM everywhere
    WHERE tool_version = '*' AND memory_bytes IS NOT NULL AND (state = 'ok' OR state = 'error' AND oom)
), peaks AS (
    SELECT instance_id, tool_id, low, high, memory_bytes - memory_bytes % width AS begin_,
           count(*) FILTER (WHERE state = 'ok') AS ok, count(*) FILTER (WHERE state = 'error') AS oom,
           sum(runtime) FILTER (WHERE state = 'ok') AS seconds
    FROM needed GROUP BY ALL
)
SELECT instance_id, tool_id, low, high, CAST(sum(ok) AS BIGINT) AS jobs, CAST(sum(oom) AS BIGINT) AS killed,
       in_seconds(sum(seconds)) AS runtime_seconds,
       to_json(list([CAST(begin_ AS BIGINT), ok, oom] ORDER BY begin_)) AS peaks
FROM peaks GROUP BY instance_id, tool_id, low, high
