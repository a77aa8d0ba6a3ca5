-- The bin [2^k, 2^(k+1)) of k = 0, 1, …; no bytes have the bin [0, 1). The power comes from the binary digits: a
-- logarithm would be rounded.
SELECT instance_id, tool_id, tool_version,
       CASE WHEN input_bytes = 0 THEN 0 ELSE 1::HUGEINT << (length(bin(input_bytes)) - 1) END AS low,
       1::HUGEINT << length(ltrim(bin(input_bytes), '0')) AS high,
       count(*) AS jobs, count(*) FILTER (WHERE state = 'error') AS error,
       count(*) FILTER (WHERE oom) + CASE WHEN count(oom) > 0 THEN 0 END AS oom,
       CAST(in_seconds(percentile(in_order(runtime_ok), 50)) AS DOUBLE) AS runtime_p50,
       CAST(in_seconds(percentile(in_order(runtime_ok), 95)) AS DOUBLE) AS runtime_p95,
       CAST(percentile(in_order(memory_ok), 50) AS DOUBLE) AS memory_p50,
       CAST(percentile(in_order(memory_ok), 95) AS DOUBLE) AS memory_p95,
       max(memory_ok) AS memory_max
FROM (SELECT *, CASE WHEN state = 'ok' THEN runtime END AS runtime_ok,
             CASE WHEN state = 'ok' THEN memory_bytes END AS memory_ok
      FROM everywhere WHERE input_bytes IS NOT NULL)
GROUP BY ALL
