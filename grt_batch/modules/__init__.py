"""The reports, one a file. A class that derives from `grt_batch.module.Module` is found by being here."""
