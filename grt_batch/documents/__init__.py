"""Documents for OpenSearch and Elasticsearch: what the tables of a report set say of each tool, in their bulk format.

They stand on top, as the report pages do: the pipeline is given a function that fills a folder from the finished files
of a set, and knows nothing else of it. `grt-batch documents --load URL` sends them.
"""
