SELECT instance_id, strftime(create_time, '%Y-%m') AS month, count(*) AS jobs,
       count(*) FILTER (WHERE state = 'ok') AS ok,
       count(*) FILTER (WHERE state = 'error') AS error,
       count(*) FILTER (WHERE state NOT IN ('ok', 'error')) AS other,
       count(DISTINCT tool_id) AS tools,
       sum(core_ticks) / 36e9 AS core_hours,
       sum(cpu_ns) / 36e11 AS cpu_hours,
       sum(input_bytes) AS input_bytes,
       sum(output_bytes) AS output_bytes
FROM jobs GROUP BY ALL
