WITH counts AS (
    SELECT instance_id, archive,
           count(*) FILTER (WHERE kind = 'jobs' AND verdict <> 'rejected') AS jobs,
           count(*) FILTER (WHERE kind IN ('metric_num', 'metric_txt') AND verdict <> 'rejected') AS metrics,
           count(*) FILTER (WHERE kind = 'params' AND verdict <> 'rejected') AS params,
           count(*) FILTER (WHERE kind = 'datasets' AND verdict <> 'rejected') AS datasets,
           count(*) FILTER (WHERE verdict IN ('joined', 'tab')) AS salvaged,
           count(*) FILTER (WHERE verdict = 'rejected') AS rejected
    FROM records GROUP BY ALL
)
SELECT instance_id, archive, moment(generated) AS generated, CAST(document -> 'version' AS INTEGER) AS version,
       document ->> 'galaxy_version' AS galaxy_version, octet_length(tar) AS bytes, sha256(tar) AS sha256,
       'published' AS state, CAST(NULL AS VARCHAR) AS reason,
       CAST(document -> '$.users.active' AS BIGINT) AS users_active,
       CAST(document -> '$.users.total' AS BIGINT) AS users_total,
       coalesce(jobs, 0) AS jobs, coalesce(metrics, 0) AS metrics, coalesce(params, 0) AS params,
       coalesce(datasets, 0) AS datasets, coalesce(salvaged, 0) AS salvaged, coalesce(rejected, 0) AS rejected,
       coalesce(jobs, 0) - coalesce(kept, 0) AS superseded,
       json_merge_patch(document, JSON '{"tools": null}') AS metadata
FROM archives
LEFT JOIN counts USING (instance_id, archive)
LEFT JOIN (SELECT instance_id, archive, count(*) AS kept FROM newest GROUP BY ALL) USING (instance_id, archive)
