SELECT instance_id, job_id, name, plain AS value FROM params JOIN unwrapped USING (name, value)
