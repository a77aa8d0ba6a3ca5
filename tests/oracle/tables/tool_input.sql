-- The bin [2^k, 2^(k+1)) of k = 0, 1, …; no bytes have the bin [0, 1). The power comes from the binary digits: a
-- logarithm would be rounded.
SELECT instance_id, tool_id, tool_version,
       CASE WHEN input_bytes = 0 THEN 0 ELSE 1::HUGEINT << (length(bin(input_bytes)) - 1) END AS low,
       1::HUGEINT << length(ltrim(bin(input_bytes), '0')) AS high,
       count(*) AS jobs,
       CAST(in_seconds(percentile(in_order(runtime), 50)) AS DOUBLE) AS runtime_p50,
       CAST(in_seconds(percentile(in_order(runtime), 95)) AS DOUBLE) AS runtime_p95,
       CAST(percentile(in_order(memory_bytes), 50) AS DOUBLE) AS memory_p50,
       CAST(percentile(in_order(memory_bytes), 95) AS DOUBLE) AS memory_p95,
       max(memory_bytes) AS memory_max
FROM everywhere WHERE state = 'ok' AND input_bytes IS NOT NULL
GROUP BY ALL
