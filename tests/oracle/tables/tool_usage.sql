SELECT instance_id, period, tool_id, tool_version, count(*) AS jobs,
       count(*) FILTER (WHERE state = 'ok') AS ok,
       count(*) FILTER (WHERE state = 'error') AS error,
       count(*) FILTER (WHERE state NOT IN ('ok', 'error')) AS other,
       CASE WHEN ok + error > 0 THEN error / (ok + error) END AS error_rate,
       ok + error > 4 AND error * 100 > 95 * (ok + error) AS likely_broken,
       count(*) FILTER (WHERE oom) + CASE WHEN count(oom) > 0 THEN 0 END AS oom,
       count(DISTINCT home) AS instances,
       sum(core_ticks) / 36e9 AS core_hours, sum(cpu_ns) / 36e11 AS cpu_hours,
       min(create_time) AS first_job, max(create_time) AS last_job
FROM everywhere JOIN periods ON days IS NULL OR day BETWEEN getvariable('as_of') - days + 1 AND getvariable('as_of')
GROUP BY ALL
