-- The growth is the slope of the least-squares line through the dates of the newer archives and their bytes so far: in
-- integers, for a prediction is rounded down to bytes.
WITH sized AS (
    SELECT instance_id, place, octet_length(tar) AS size, generated FROM archives
), made AS (
    -- What is from the future tells nothing of today; clocks may differ by a day.
    SELECT *, max(generated) OVER (PARTITION BY instance_id) AS last_generated
    FROM sized WHERE CAST(moment(generated) AS DATE) <= getvariable('as_of') + 1
), points AS (
    SELECT instance_id, generated, sum(size) OVER (PARTITION BY instance_id ORDER BY place) AS y,
           -ticks(last_generated - generated) AS x
    FROM made WHERE last_generated - generated <= getvariable('prediction_days') * 86400
), growth AS (
    SELECT instance_id, greatest(0, count(*) * sum(x * y) - sum(x) * sum(y)) AS rise,
           count(*) * sum(x * x) - sum(x) * sum(x) AS run,
           CASE WHEN count(DISTINCT CAST(moment(generated) AS DATE)) >= 3 THEN max(x) - min(x) END AS span
    FROM points GROUP BY ALL
), status AS (
    SELECT instance_id, count(*) AS archives, sum(size) AS bytes,
           bytes + any_value(CASE WHEN span >= 3 * 864000000000 THEN rise * 3 * 864000000000 // run END) AS predicted_3d,
           bytes + any_value(CASE WHEN span >= 7 * 864000000000 THEN rise * 7 * 864000000000 // run END) AS predicted_7d,
           any_value(CASE WHEN silent < 0 THEN 0 ELSE silent END) AS days_silent
    FROM sized LEFT JOIN growth USING (instance_id)
    LEFT JOIN (SELECT instance_id, getvariable('as_of') - CAST(moment(max(generated)) AS DATE) AS silent
               FROM made GROUP BY ALL) USING (instance_id)
    GROUP BY instance_id
), counts AS (
    SELECT instance_id, count(*) AS jobs,
           count(*) FILTER (WHERE day BETWEEN getvariable('as_of') - 6 AND getvariable('as_of')) AS jobs_7d,
           count(*) FILTER (WHERE day BETWEEN getvariable('as_of') - 29 AND getvariable('as_of')) AS jobs_30d,
           count(*) FILTER (WHERE non_terminal) / count(*) AS non_terminal,
           count(*) FILTER (WHERE without_metrics) / count(*) AS without_metrics,
           count(*) FILTER (WHERE implausible) / count(*) AS implausible
    FROM jobs GROUP BY ALL
)
SELECT instance_id, archives, bytes, getvariable('quota_bytes') AS quota_bytes, predicted_3d, predicted_7d,
       CASE WHEN ifnull(predicted_3d, bytes) * 100 > 80 * quota_bytes
              OR ifnull(predicted_7d, bytes) * 100 > 95 * quota_bytes
              OR ifnull(days_silent, 0) > 2 * getvariable('fresh_days') THEN 3
            WHEN ifnull(predicted_7d, bytes) * 100 > 85 * quota_bytes OR ifnull(days_silent, 0) > getvariable('fresh_days') THEN 2
            ELSE 1 END AS warning,
       days_silent, coalesce(jobs, 0) AS jobs, coalesce(jobs_7d, 0) AS jobs_7d, coalesce(jobs_30d, 0) AS jobs_30d,
       non_terminal, without_metrics, implausible
FROM status LEFT JOIN counts USING (instance_id)
