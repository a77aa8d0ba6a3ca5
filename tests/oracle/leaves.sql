-- What the parameters of jobs say: each leaf once. `unfolded` has the leaves of each value. The bare ids of inputs of the
-- same job and name name data; Galaxy numbers the datasets of a multiple parameter, and those of a repeat before each |.
CREATE VIEW leaf AS
WITH inputs AS (
    SELECT DISTINCT instance_id, job_id, unnest([param_name, regexp_replace(param_name, '_[0-9]+\|', '|', 'g')]) AS place,
           dataset_id
    FROM datasets WHERE type = 'input'
), written AS (
    SELECT params.* EXCLUDE (name, value), unfolded.leaf AS name, unfolded.plain AS value, unfolded.names_data
    FROM params JOIN unfolded USING (name, value)
), numbers AS (
    SELECT DISTINCT instance_id, job_id, name, value, list_distinct([
               CAST(id AS HUGEINT) FOR id IN regexp_extract_all(value, '[0-9]{1,18}')]) AS ids
    FROM written WHERE regexp_full_match(value, '[0-9]{1,18}(, ?[0-9]{1,18})*|\[[0-9]{1,18}(, ?[0-9]{1,18})*\]')
), bare AS (
    SELECT instance_id, job_id, name, value
    FROM numbers JOIN inputs USING (instance_id, job_id)
    WHERE starts_with(place, name) AND regexp_full_match(place[len(name) + 1 :], '[0-9]*') AND list_contains(ids, dataset_id)
    GROUP BY instance_id, job_id, name, value, ids HAVING count(DISTINCT dataset_id) = len(ids)
)
SELECT DISTINCT instance_id, job_id, tool_id, tool_version, state, name,
       CASE WHEN bare.job_id IS NULL AND NOT names_data THEN coalesce(value, '') END AS value, names_data OR bare.job_id IS NOT NULL AS names_data
FROM written LEFT JOIN bare USING (instance_id, job_id, name, value);
