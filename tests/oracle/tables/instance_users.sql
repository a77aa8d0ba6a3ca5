SELECT instance_id, moment(generated) AS generated, CAST(document -> '$.users.active' AS BIGINT) AS active,
       CAST(document -> '$.users.total' AS BIGINT) AS total
FROM archives
QUALIFY row_number() OVER (PARTITION BY instance_id, generated ORDER BY place DESC) = 1
