SELECT instance_id, owner, CAST(NULL AS VARCHAR) AS name, nullif(regexp_extract(owner, '[\w.+-]+@[\w-]+(\.[\w-]+)+'), '') AS mail
FROM (SELECT DISTINCT instance_id, unnest(CAST(document -> 'owners' AS VARCHAR[])) AS owner FROM metadata)
WHERE trim(owner) <> ''
