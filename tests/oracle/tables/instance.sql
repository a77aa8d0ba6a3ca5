SELECT instance_id, document ->> 'url' AS url, document ->> 'title' AS title, document ->> 'description' AS description,
       coalesce(CAST(document -> 'public' AS BOOLEAN), FALSE) AS public,
       CAST(document -> 'latitude' AS DOUBLE) AS latitude, CAST(document -> 'longitude' AS DOUBLE) AS longitude,
       coalesce(document -> 'owners', JSON '[]') AS owners,
       moment(first_generated) AS first_generated, moment(last_generated) AS last_generated,
       coalesce(jobs, 0) AS jobs,
       json_merge_patch(document, JSON '{"url": null, "title": null, "description": null, "public": null,
           "latitude": null, "longitude": null, "owners": null}') AS metadata
FROM metadata
LEFT JOIN (SELECT instance_id, min(generated) AS first_generated, max(generated) AS last_generated
           FROM archives GROUP BY ALL) USING (instance_id)
LEFT JOIN (SELECT instance_id, count(*) AS jobs FROM jobs GROUP BY ALL) USING (instance_id)
