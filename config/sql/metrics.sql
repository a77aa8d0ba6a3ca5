-- Time, memory and cores used by the jobs of a tool in state ok. Percentiles are accurate to 1 percent.

-- name: tool-metrics(tool, metric, instance, period, limit)
-- How are the metrics of a tool's jobs in state ok distributed? The name of a metric ends with its unit.
-- :tool text                      part of the tool's id
-- :metric text = all              name of a metric
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id, tool_version, metric, n AS jobs, mean, stddev, minimum, p25, p50, p75, p90, p95, p99, maximum
FROM grt.tool_metric
WHERE
    instance_id = :instance AND period = :period AND n > 0
    AND strpos(lower(tool_id), lower(:tool)) > 0 AND :metric IN ('all', metric)
ORDER BY tool_id, tool_version, metric
LIMIT nullif(:limit, 0);

-- name: tool-histogram(tool, metric, instance, limit)
-- How many of a tool's jobs in state ok fall into each bin? The bounds of bins have the unit of the metric.
-- share_up_to is the share of the jobs in this bin and all lower bins.
-- :tool text                      part of the tool's id
-- :metric runtime_seconds|memory_bytes|cpu_seconds = runtime_seconds    the metric
-- :instance text = *              id of an instance, or * for all instances together
-- :limit count = 200              maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    low,
    high,
    jobs,
    (jobs / sum(jobs) OVER tool)::float8 AS share_of_jobs,
    (sum(jobs) OVER (tool ORDER BY low) / sum(jobs) OVER tool)::float8 AS share_up_to
FROM grt.tool_histogram
WHERE instance_id = :instance AND metric = :metric AND strpos(lower(tool_id), lower(:tool)) > 0
WINDOW tool AS (PARTITION BY tool_id, tool_version)
ORDER BY tool_id, tool_version, low
LIMIT nullif(:limit, 0);

-- name: tool-runtimes(instance, period, tool, limit)
-- How long do jobs in state ok run? Tools with the longest total runtime come first.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    n AS jobs,
    (total / 3600)::float8 AS runtime_hours,
    mean AS runtime_mean_seconds,
    p50 AS runtime_p50_seconds,
    p95 AS runtime_p95_seconds,
    p99 AS runtime_p99_seconds,
    maximum AS runtime_max_seconds
FROM grt.tool_metric
WHERE
    instance_id = :instance AND period = :period AND metric = 'runtime_seconds' AND n > 0
    AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY total DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-memory-efficiency(instance, period, tool, limit)
-- How much of its allocated memory does a job in state ok use? memory_efficiency is peak / allocated.
-- A GB is 10^9 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    used.n AS jobs,
    used.p50 AS memory_efficiency_p50,
    used.p95 AS memory_efficiency_p95,
    used.maximum AS memory_efficiency_max,
    (peak.p50 / 1e9)::float8 AS memory_p50_gb,
    (peak.p95 / 1e9)::float8 AS memory_p95_gb,
    (peak.maximum / 1e9)::float8 AS memory_max_gb,
    (allocated.p50 / 1e9)::float8 AS allocated_p50_gb
FROM grt.tool_metric AS used
JOIN grt.tool_metric AS peak USING (instance_id, period, tool_id, tool_version)
JOIN grt.tool_metric AS allocated USING (instance_id, period, tool_id, tool_version)
WHERE
    instance_id = :instance AND period = :period AND strpos(lower(tool_id), lower(:tool)) > 0 AND used.n > 0
    AND used.metric = 'memory_efficiency'
    AND peak.metric = 'memory_bytes'
    AND allocated.metric = 'allocated_memory_bytes'
ORDER BY used.n DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-memory-per-inputs(tool, instance, limit)
-- How do memory and runtime of a tool's jobs in state ok grow with the size of the inputs?
-- An MB is 10^6 bytes, a GB 10^9 bytes.
-- :tool text                      part of the tool's id
-- :instance text = *              id of an instance, or * for all instances together
-- :limit count = 200              maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    (low / 1e6)::float8 AS input_from_mb,
    (high / 1e6)::float8 AS input_to_mb,
    jobs,
    (memory_p50 / 1e9)::float8 AS memory_p50_gb,
    (memory_p95 / 1e9)::float8 AS memory_p95_gb,
    (memory_max / 1e9)::float8 AS memory_max_gb,
    runtime_p50 AS runtime_p50_seconds,
    runtime_p95 AS runtime_p95_seconds
FROM grt.tool_input
WHERE instance_id = :instance AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY tool_id, tool_version, low
LIMIT nullif(:limit, 0);

-- name: queue-time(instance, period, tool, limit)
-- How long do jobs in state ok wait between creation and start?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool text = ''                 part of the tool's id
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    n AS jobs,
    mean AS wait_mean_seconds,
    p50 AS wait_p50_seconds,
    p95 AS wait_p95_seconds,
    p99 AS wait_p99_seconds,
    maximum AS wait_max_seconds
FROM grt.tool_metric
WHERE
    instance_id = :instance AND period = :period AND metric = 'wait_seconds' AND n > 0
    AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY n DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);
