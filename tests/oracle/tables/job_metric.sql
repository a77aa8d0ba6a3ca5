-- A metric may be given as a number and as a text: that is two rows.
SELECT instance_id, job_id, plugin, name, value, CAST(NULL AS VARCHAR) AS text FROM metrics
UNION ALL
SELECT instance_id, job_id, field(record, 'plugin'), field(record, 'name'), NULL, field(record, 'value')
FROM of_jobs AS record
WHERE kind = 'metric_txt'
QUALIFY row_number() OVER (
    PARTITION BY instance_id, job_id, field(record, 'plugin'), field(record, 'name')
    ORDER BY ordinal DESC, line DESC) = 1
