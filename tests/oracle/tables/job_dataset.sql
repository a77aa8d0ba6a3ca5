SELECT instance_id, job_id, dataset_id, extension, file_size, param_name, type FROM datasets
