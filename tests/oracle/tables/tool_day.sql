SELECT instance_id, day, tool_id, tool_version, state, count(*) AS jobs,
       in_seconds(coalesce(sum(runtime), 0)) AS runtime_seconds,
       in_seconds(coalesce(sum(core_ticks), 0)) AS core_seconds,
       ns_in_seconds(coalesce(sum(cpu_ns), 0)) AS cpu_seconds,
       coalesce(sum(input_bytes), 0) AS input_bytes,
       coalesce(sum(output_bytes), 0) AS output_bytes
FROM jobs GROUP BY ALL
