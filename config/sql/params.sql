-- What tools are told, and what they are given. The values of parameters are those of all instances together.

-- name: popular-parameters(tool, parameter, top, limit)
-- Which values do the parameters of a tool take most?
-- sampled: there were too many values to keep all, and these are a sample; their jobs are exact.
-- :tool text = ''                 part of the tool's id
-- :parameter text = ''            part of the parameter's name
-- :top count = 5                  values of each parameter
-- :limit count = 100              rows at most; 0 for all
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
-- With which values of its parameters does a tool fail more often than usual?
-- Those with the most failed jobs beyond the usual come first.
-- :tool text = ''                 part of the tool's id
-- :least count = 5                jobs that a value needs to be shown
-- :limit count = 50               rows at most; 0 for all
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
-- What is a tool told beside what it is given: its parameters' popular values and the sizes of its inputs?
-- Each value, and each bin of the inputs' bytes, with its share of the tool's jobs of which that is known.
-- :tool text                      part of the tool's id
-- :top count = 5                  values of each parameter; all bins are shown
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
-- Which kinds of files does a tool read and write? GB are 10^9 bytes.
-- :instance text = *              id of an instance, or * for all together
-- :tool text = ''                 part of the tool's id
-- :limit count = 100              rows at most; 0 for all
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
