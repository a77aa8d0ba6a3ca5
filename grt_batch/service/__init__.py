"""The service: it takes archives from Galaxy servers and answers questions over HTTP. It never computes."""
