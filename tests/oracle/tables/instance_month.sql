SELECT instance_id, strftime(create_time, '%Y-%m') AS month, count(*) AS jobs,
       count(*) FILTER (WHERE state = 'ok') AS ok,
       count(*) FILTER (WHERE state = 'error') AS error,
       count(*) FILTER (WHERE state NOT IN ('ok', 'error')) AS other,
       count(DISTINCT tool_id) AS tools,
       coalesce(sum(core_ticks), 0) / 36e9 AS core_hours,
       coalesce(sum(cpu_ns), 0) / 36e11 AS cpu_hours,
       coalesce(sum(input_bytes), 0) AS input_bytes,
       coalesce(sum(output_bytes), 0) AS output_bytes
FROM jobs GROUP BY ALL
