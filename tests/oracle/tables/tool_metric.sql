-- Totals and extremes are exact, but for those of ratios, which have no exact decimal number: their
-- extremes have 9 digits. Variances are those of the distances to
-- the least value, which are exact too: large numbers that differ by little would leave no digits.
WITH placed AS (
    SELECT *, CAST(exact - min(exact) OVER same AS DOUBLE) AS distance, value - min(value) OVER same AS difference
    FROM measured
    JOIN periods ON days IS NULL OR day BETWEEN getvariable('as_of') - days + 1 AND getvariable('as_of')
    WINDOW same AS (PARTITION BY instance_id, period, tool_id, tool_version, metric)
)
SELECT * EXCLUDE ordered,
       percentile(ordered, 25) AS p25, percentile(ordered, 50) AS p50, percentile(ordered, 75) AS p75,
       percentile(ordered, 90) AS p90, percentile(ordered, 95) AS p95, percentile(ordered, 99) AS p99
FROM (
    SELECT instance_id, period, tool_id, tool_version, metric, count(*) AS n,
           CASE WHEN any_value(metric) LIKE '%_efficiency' THEN union_value(rounded := sum(value))
                ELSE CAST(sum(exact) AS UNION(rounded DOUBLE, exact DECIMAL(38, 9))) END AS total,
           avg(value) AS mean,
           CASE WHEN any_value(metric) LIKE '%_efficiency' THEN union_value(rounded := CAST(format('{:.9g}', min(value)) AS DOUBLE))
                ELSE CAST(min(exact) AS UNION(rounded DOUBLE, exact DECIMAL(38, 9))) END AS minimum,
           CASE WHEN any_value(metric) LIKE '%_efficiency' THEN union_value(rounded := CAST(format('{:.9g}', max(value)) AS DOUBLE))
                ELSE CAST(max(exact) AS UNION(rounded DOUBLE, exact DECIMAL(38, 9))) END AS maximum,
           stddev_samp(ifnull(distance, difference)) AS stddev, var_samp(ifnull(distance, difference)) AS variance,
           in_order(value) AS ordered
    FROM placed GROUP BY ALL)
