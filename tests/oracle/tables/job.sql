SELECT instance_id, job_id, tool_id, tool_version, state, create_time FROM jobs
