-- The two-proportion z-test with the pooled rate: NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3. Mood's median
-- test is the same test of the runs above the median of both periods. Those near it count as equal: runtimes that agree
-- in their first 7 binary digits are in one bin.
CREATE OR REPLACE MACRO rise(x, n, x_after, n_after) AS
    (x_after / n_after - x / n)
    / sqrt(nullif((x + x_after) / (n + n_after) * (1 - (x + x_after) / (n + n_after)), 0) * (1 / n + 1 / n_after));
CREATE OR REPLACE MACRO step(ticks) AS 1::HUGEINT << greatest(0, length(ltrim(bin(ticks), '0')) - 7);
WITH recent AS (
    SELECT instance_id, tool_id, tool_version, state, day > getvariable('as_of') - 30 AS after,
           CASE WHEN state = 'ok' THEN runtime END AS runtime
    FROM everywhere WHERE day BETWEEN getvariable('as_of') - 59 AND getvariable('as_of')
), medians AS (
    SELECT instance_id, tool_id, tool_version, percentile(in_order(runtime), 50) AS median,
           (median // step(median) + 1) * step(median) AS beyond
    FROM recent GROUP BY ALL
), counts AS (
    SELECT instance_id, tool_id, tool_version, after,
           count(*) FILTER (WHERE state IN ('ok', 'error')) AS jobs, count(*) FILTER (WHERE state = 'error') AS error,
           count(runtime) AS runs, count(*) FILTER (WHERE runtime >= beyond) AS longer,
           percentile(in_order(runtime), 50) / 1e7 AS p50
    FROM recent JOIN medians USING (instance_id, tool_id, tool_version)
    GROUP BY ALL
), tested AS (
    SELECT earlier.*, later.jobs AS jobs_after, later.error AS error_after, later.runs AS runs_after,
           later.p50 AS p50_after, rise(earlier.error, earlier.jobs, error_after, jobs_after) AS z,
           erfc(abs(z) / sqrt(2)) AS p_value,
           erfc(abs(rise(earlier.longer, nullif(earlier.runs, 0), later.longer, nullif(runs_after, 0))) / sqrt(2))
               AS runtime_p_value
    FROM (FROM counts WHERE NOT after) AS earlier
    JOIN (FROM counts WHERE after) AS later USING (instance_id, tool_id, tool_version)
    WHERE least(earlier.jobs, later.jobs) >= getvariable('change_min_jobs')
), judged AS (
    SELECT *,
           coalesce(p_value <= getvariable('change_p_value'), FALSE)
               AND abs(error_after * jobs - error * jobs_after) * 100
                   >= getvariable('change_min_rate') * jobs * jobs_after AS other_rate,
           coalesce(runtime_p_value <= getvariable('change_p_value'), FALSE)
               AND least(runs, runs_after) >= getvariable('change_min_jobs') AND p50 > 0
               AND greatest(p50, p50_after) * 100
                   >= least(p50, p50_after) * (100 + getvariable('change_runtime_percent')) AS other_runtime
    FROM tested
)
SELECT instance_id, tool_id, tool_version, jobs AS jobs_before, jobs_after, error AS error_before, error_after,
       error / jobs AS error_rate_before, error_after / jobs_after AS error_rate_after,
       error_after / jobs_after - error / jobs AS error_rate_change, z, p_value, runs AS runs_before, runs_after,
       p50 AS runtime_p50_before, p50_after AS runtime_p50_after, p50_after / nullif(p50, 0) AS runtime_ratio,
       runtime_p_value,
       concat_ws(' ', CASE WHEN other_rate THEN 'error_rate' END, CASE WHEN other_runtime THEN 'runtime' END) AS changed
FROM judged WHERE other_rate OR other_runtime
