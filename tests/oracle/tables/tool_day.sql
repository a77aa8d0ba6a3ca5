SELECT instance_id, day, tool_id, tool_version, state, count(*) AS jobs,
       in_seconds(sum(runtime)) AS runtime_seconds,
       in_seconds(sum(core_ticks)) AS core_seconds,
       ns_in_seconds(sum(cpu_ns)) AS cpu_seconds,
       sum(input_bytes) AS input_bytes,
       sum(output_bytes) AS output_bytes
FROM jobs GROUP BY ALL
