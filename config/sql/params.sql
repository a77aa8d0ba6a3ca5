-- Parameters and inputs of tools. The values of parameters are those of all instances together.
-- The version * is a tool over all its versions; its id is then without the version. What nobody measured is empty.

-- name: popular-parameters(tool, version, parameter, top, limit)
-- Which are the most common values of a tool's parameters?
-- at_least is true where a value has more jobs than are known: less than 1 % of the parameter's jobs.
-- tags: tool_id, tool_version, parameter, value
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
        at_least,
        (param_value.jobs::numeric / nullif(param.jobs, 0))::float8 AS share_of_jobs,
        param.jobs AS parameter_jobs,
        distinct_values,
        row_number() OVER (
            PARTITION BY tool_id, tool_version, name ORDER BY param_value.jobs DESC, value
        ) AS rank
    FROM grt.param_value
    JOIN grt.param USING (tool_id, tool_version, name)
    WHERE
        tool_id ~* :tool AND strpos(lower(name), lower(:parameter)) > 0
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
)
SELECT tool_id, tool_version, parameter, rank, value, jobs, at_least, share_of_jobs, distinct_values
FROM ranked
WHERE rank <= :top
ORDER BY parameter_jobs DESC, tool_id, tool_version, parameter, rank
LIMIT nullif(:limit, 0);

-- name: parameter-errors(tool, version, least, limit)
-- Which parameter values make a tool fail more often than usual?
-- Values with the most failed jobs above the usual number come first.
-- tags: tool_id, tool_version, parameter, value
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
        AND tool_id ~* :tool
        AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
)
SELECT *, error_rate / nullif(tool_error_rate, 0) AS times_as_often
FROM rates
WHERE error_rate > tool_error_rate
ORDER BY (error_rate - tool_error_rate) * jobs DESC, tool_id, tool_version, parameter, value
LIMIT nullif(:limit, 0);

-- name: parameters-against-inputs(tool, version, top)
-- How do a tool's popular parameter values compare with the sizes of its inputs?
-- Lists each value and each bin of input bytes, with its share of the tool's jobs for which it is known.
-- tags: tool_id, tool_version, kind, name, value
-- :tool tool                      part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
WHERE
    tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY tool_id, tool_version, kind, name, place;

-- name: tool-formats(instance, tool, version, limit)
-- Which file types does a tool read and write? A GB is 10^9 bytes.
-- :instance text = *              id of an instance, or * for all instances together
-- :tool tool = ''                 part of the tool's id
-- :version version = *            its version; * for all together, each for each by itself
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
WHERE
    instance_id = :instance AND tool_id ~* :tool
    AND CASE :version WHEN 'each' THEN tool_version <> '*' ELSE tool_version = :version END
ORDER BY tool_id, tool_version, type, datasets DESC, extension
LIMIT nullif(:limit, 0);
