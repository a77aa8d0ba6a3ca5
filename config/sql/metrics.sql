-- Time, memory and cores used by the jobs of a tool in state ok. Percentiles are accurate to 1 percent.
-- The version * is a tool over all its versions; its id is then without the version. What nobody measured is empty.

-- name: tool-metrics(tool, version, metric, instance, period, limit)
-- How are the metrics of a tool's jobs in state ok distributed? The name of a metric ends with its unit.
-- :tool tool                      part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :metric text = all              name of a metric
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :limit count = 50               maximum number of rows; 0 for all
SELECT
    tool_id, tool_version, metric, n AS jobs, mean, stddev, minimum, p25, p50, p75, p90, p95, p99, maximum
FROM grt.tool_metric
WHERE
    instance_id = :instance AND period = :period AND n > 0
    AND tool_id ~* :tool AND :metric IN ('all', metric)
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY tool_id, tool_version, metric
LIMIT nullif(:limit, 0);

-- name: tool-histogram(tool, version, metric, instance, limit)
-- How many of a tool's jobs in state ok fall into each bin? The bounds of bins have the unit of the metric.
-- share_up_to is the share of the jobs in this bin and all lower bins.
-- tags: tool_id, tool_version, low
-- :tool tool                      part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
WHERE
    instance_id = :instance AND metric = :metric AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
WINDOW tool AS (PARTITION BY tool_id, tool_version)
ORDER BY tool_id, tool_version, low
LIMIT nullif(:limit, 0);

-- name: tool-runtimes(instance, period, tool, version, by, min_jobs, limit)
-- How long do jobs in state ok run? Tools with the longest total runtime come first, or those with the longest median.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :by total|median = total        what is longest in the tools that come first
-- :min_jobs count = 0             minimum number of jobs
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
    AND n >= :min_jobs AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY CASE :by WHEN 'median' THEN p50::float8 ELSE total::float8 END DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-memory-efficiency(instance, period, tool, version, min_jobs, min_runtime, min_memory, limit)
-- How much of its allocated memory does a job in state ok use? memory_efficiency is peak / allocated.
-- Short jobs and small allocations are left out, unless the minimums are lowered to 0. A GB is 10^9 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :min_jobs count = 5             minimum number of jobs
-- :min_runtime number = 300       minimum of the median runtime in seconds; 0 for all
-- :min_memory number = 8          minimum of the median allocated memory in GB; 0 for all
-- :limit count = 50               maximum number of rows; 0 for all
WITH measured AS (
    SELECT
        tool_id,
        tool_version,
        max(n) FILTER (WHERE metric = 'memory_efficiency') AS jobs,
        max(p50) FILTER (WHERE metric = 'memory_efficiency') AS memory_efficiency_p50,
        max(p95) FILTER (WHERE metric = 'memory_efficiency') AS memory_efficiency_p95,
        max(maximum) FILTER (WHERE metric = 'memory_efficiency') AS memory_efficiency_max,
        max(p50) FILTER (WHERE metric = 'memory_bytes') / 1e9::float8 AS memory_p50_gb,
        max(p95) FILTER (WHERE metric = 'memory_bytes') / 1e9::float8 AS memory_p95_gb,
        max(maximum) FILTER (WHERE metric = 'memory_bytes') / 1e9::float8 AS memory_max_gb,
        max(p50) FILTER (WHERE metric = 'allocated_memory_bytes') / 1e9::float8 AS allocated_p50_gb,
        max(p50) FILTER (WHERE metric = 'runtime_seconds') AS runtime_p50_seconds
    FROM grt.tool_metric
    WHERE
        instance_id = :instance AND period = :period AND tool_id ~* :tool
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
    GROUP BY tool_id, tool_version
)
SELECT *
FROM measured
WHERE
    jobs > 0 AND jobs >= :min_jobs
    AND (:min_runtime = 0 OR runtime_p50_seconds >= :min_runtime)
    AND (:min_memory = 0 OR allocated_p50_gb >= :min_memory)
ORDER BY jobs DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: tool-memory-per-inputs(tool, version, instance, limit)
-- How do memory and runtime of a tool's jobs grow with the size of the inputs, and how many were killed for memory?
-- jobs, memory and runtime are of jobs in state ok; error counts the jobs in error, oom those that were killed for
-- memory, whatever their state. An MB is 10^6 bytes, a GB 10^9 bytes.
-- tags: tool_id, tool_version, input_from_mb
-- :tool tool                      part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :instance text = *              id of an instance, or * for all instances together
-- :limit count = 200              maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    (low / 1e6)::float8 AS input_from_mb,
    (high / 1e6)::float8 AS input_to_mb,
    jobs,
    error,
    oom,
    (memory_p50 / 1e9)::float8 AS memory_p50_gb,
    (memory_p95 / 1e9)::float8 AS memory_p95_gb,
    (memory_max / 1e9)::float8 AS memory_max_gb,
    runtime_p50 AS runtime_p50_seconds,
    runtime_p95 AS runtime_p95_seconds
FROM grt.tool_input
WHERE
    instance_id = :instance AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY tool_id, tool_version, low
LIMIT nullif(:limit, 0);

-- name: tool-waste(instance, period, tool, version, by, min_jobs, limit)
-- Which tools leave the most of their cores or their memory idle? These are estimates for the jobs in state ok, by the
-- means of those that measured: idle_core_hours are core hours less CPU time, unused_memory_gb_hours the allocated
-- memory less the peak, for as long as the jobs ran. A GB is 10^9 bytes.
-- tags: tool_id, tool_version
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :by cores|memory = cores        what is idle most in the tools that come first
-- :min_jobs count = 5             minimum number of jobs
-- :limit count = 50               maximum number of rows; 0 for all
WITH measured AS (
    SELECT
        tool_id,
        tool_version,
        max(n) FILTER (WHERE metric = 'runtime_seconds') AS jobs,
        max(total) FILTER (WHERE metric = 'runtime_seconds') / 3600 AS hours,
        max(total) FILTER (WHERE metric = 'core_seconds') / 3600 AS core_hours,
        max(mean) FILTER (WHERE metric = 'core_seconds') AS core_seconds,
        max(mean) FILTER (WHERE metric = 'cpu_seconds') AS cpu_seconds,
        max(mean) FILTER (WHERE metric = 'memory_bytes') AS memory_bytes,
        max(mean) FILTER (WHERE metric = 'allocated_memory_bytes') AS allocated_bytes
    FROM grt.tool_metric
    WHERE
        instance_id = :instance AND period = :period AND tool_id ~* :tool
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
    GROUP BY tool_id, tool_version
),
wasted AS (
    SELECT
        tool_id,
        tool_version,
        jobs,
        core_hours::float8 AS core_hours,
        (cpu_seconds / nullif(core_seconds, 0))::float8 AS cpu_share,
        CASE WHEN cpu_seconds IS NOT NULL AND core_seconds > 0
            THEN (core_hours * (1 - least(1, cpu_seconds / core_seconds)))::float8
        END AS idle_core_hours,
        (memory_bytes / nullif(allocated_bytes, 0))::float8 AS memory_share,
        CASE WHEN memory_bytes IS NOT NULL AND allocated_bytes IS NOT NULL
            THEN (hours * greatest(0, allocated_bytes - memory_bytes) / 1e9)::float8
        END AS unused_memory_gb_hours
    FROM measured
    WHERE cpu_seconds IS NOT NULL OR memory_bytes IS NOT NULL
)
SELECT *
FROM wasted
WHERE jobs >= :min_jobs AND coalesce(idle_core_hours, unused_memory_gb_hours) IS NOT NULL
ORDER BY
    CASE :by WHEN 'memory' THEN unused_memory_gb_hours ELSE idle_core_hours END DESC NULLS LAST, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: good-for-pulsar(instance, period, tool, version, min_jobs, limit)
-- Which tools read little for how long they run, so that their jobs can well be sent to computers far away?
-- score is the bytes of input for each second of runtime, by the means of the jobs in state ok. Tools that read nothing
-- are left out; the best come first. An MB is 10^6 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
-- :min_jobs count = 5             minimum number of jobs
-- :limit count = 50               maximum number of rows; 0 for all
WITH input AS (
    SELECT * FROM grt.tool_metric WHERE metric = 'input_bytes' AND mean > 0
),
runtime AS (
    SELECT * FROM grt.tool_metric WHERE metric = 'runtime_seconds' AND mean > 0
)
SELECT
    tool_id,
    tool_version,
    least(input.n, runtime.n) AS jobs,
    input.mean / 1e6::float8 AS input_mean_mb,
    runtime.mean AS runtime_mean_seconds,
    input.mean / runtime.mean AS score
FROM input
JOIN runtime USING (instance_id, period, tool_id, tool_version)
WHERE
    instance_id = :instance AND period = :period AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
    AND least(input.n, runtime.n) >= :min_jobs
ORDER BY score, tool_id, tool_version
LIMIT nullif(:limit, 0);

-- name: queue-time(instance, period, tool, version, limit)
-- How long do jobs in state ok wait between creation and start?
-- :instance text = *              id of an instance, or * for all instances together
-- :period all|30d|7d = all        all jobs, or those of the last 30 or 7 days
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
    AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY n DESC, tool_id, tool_version
LIMIT nullif(:limit, 0);
