-- Parameters and inputs of tools. The values of parameters are those of all instances together.

-- name: popular-parameters(tool, parameter, top, limit)
-- Which are the most common values of a tool's parameters?
-- sampled is true if there were too many values to keep them all. The rows are then a sample, but their jobs are exact.
-- :tool text = ''                 part of the tool's id
-- :parameter text = ''            part of the parameter's name
-- :top count = 5                  number of values per parameter
-- :limit count = 100              maximum number of rows; 0 for all
WITH ranked AS (
    SELECT
        tool_id,
        tool_version,
        name AS parameter,
        value,
        param_value.jobs,
        (param_value.jobs::numeric / nullif(param.jobs, 0))::float8 AS share_of_jobs,
        param.jobs AS parameter_jobs,
        sampled,
        row_number() OVER (
            PARTITION BY tool_id, tool_version, name ORDER BY param_value.jobs DESC, value
        ) AS rank
    FROM grt.param_value
    JOIN grt.param USING (tool_id, tool_version, name)
    WHERE strpos(lower(tool_id), lower(:tool)) > 0 AND strpos(lower(name), lower(:parameter)) > 0
)
SELECT tool_id, tool_version, parameter, rank, value, jobs, share_of_jobs, sampled
FROM ranked
WHERE rank <= :top
ORDER BY parameter_jobs DESC, tool_id, tool_version, parameter, rank
LIMIT nullif(:limit, 0);

-- name: parameter-errors(tool, least, limit)
-- Which parameter values make a tool fail more often than usual?
-- Values with the most failed jobs above the usual number come first.
-- :tool text = ''                 part of the tool's id
-- :least count = 5                minimum number of jobs with the value
-- :limit count = 50               maximum number of rows; 0 for all
WITH rates AS (
    SELECT
        tool_id,
        tool_version,
        name AS parameter,
        value,
        param_value.jobs,
        param_value.error,
        (param_value.error::numeric / nullif(param_value.ok + param_value.error, 0))::float8 AS error_rate,
        tool_usage.error_rate AS tool_error_rate
    FROM grt.param_value
    JOIN grt.tool_usage USING (tool_id, tool_version)
    WHERE
        instance_id = '*' AND period = 'all' AND param_value.jobs >= :least
        AND strpos(lower(tool_id), lower(:tool)) > 0
)
SELECT *, error_rate / nullif(tool_error_rate, 0) AS times_as_often
FROM rates
WHERE error_rate > tool_error_rate
ORDER BY (error_rate - tool_error_rate) * jobs DESC, tool_id, tool_version, parameter, value
LIMIT nullif(:limit, 0);

-- name: parameters-against-inputs(tool, top)
-- How do a tool's popular parameter values compare with the sizes of its inputs?
-- Lists each value and each bin of input bytes, with its share of the tool's jobs for which it is known.
-- :tool text                      part of the tool's id
-- :top count = 5                  number of values per parameter; all bins are shown
WITH told AS (
    SELECT
        tool_id,
        tool_version,
        'parameter' AS kind,
        name,
        value,
        param_value.jobs,
        param.jobs AS known,
        row_number() OVER (
            PARTITION BY tool_id, tool_version, name ORDER BY param_value.jobs DESC, value
        ) AS place,
        NULL::float8 AS runtime_p50_seconds,
        NULL::float8 AS memory_p50_gb
    FROM grt.param_value
    JOIN grt.param USING (tool_id, tool_version, name)
),
given AS (
    SELECT
        tool_id,
        tool_version,
        'input' AS kind,
        'input_bytes' AS name,
        concat(low, ' to ', high) AS value,
        jobs,
        sum(jobs) OVER (PARTITION BY tool_id, tool_version) AS known,
        row_number() OVER (PARTITION BY tool_id, tool_version ORDER BY low) AS place,
        runtime_p50 AS runtime_p50_seconds,
        (memory_p50 / 1e9)::float8 AS memory_p50_gb
    FROM grt.tool_input
    WHERE instance_id = '*'
),
both_of_them AS (
    SELECT * FROM told WHERE place <= :top
    UNION ALL
    SELECT * FROM given
)
SELECT
    tool_id,
    tool_version,
    kind,
    name,
    value,
    jobs,
    (jobs::numeric / nullif(known, 0))::float8 AS share_of_jobs,
    runtime_p50_seconds,
    memory_p50_gb
FROM both_of_them
WHERE strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY tool_id, tool_version, kind, name, place;

-- name: tool-formats(instance, tool, limit)
-- Which file types does a tool read and write? A GB is 10^9 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :tool text = ''                 part of the tool's id
-- :limit count = 100              maximum number of rows; 0 for all
SELECT
    tool_id,
    tool_version,
    type,
    extension,
    datasets,
    (datasets / sum(datasets) OVER (PARTITION BY tool_id, tool_version, type))::float8 AS share_of_datasets,
    (bytes / 1e9)::float8 AS size_gb
FROM grt.tool_extension
WHERE instance_id = :instance AND strpos(lower(tool_id), lower(:tool)) > 0
ORDER BY tool_id, tool_version, type, datasets DESC, extension
LIMIT nullif(:limit, 0);
