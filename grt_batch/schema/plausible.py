"""What a measurement can be. What lies outside was not measured: it becomes null, and its job counts as implausible.

The bounds are so wide that no job reaches them. They are constants: what is compared with today's date, or with the
date of an archive, would be read otherwise another day.
"""

from __future__ import annotations

MOST_SECONDS = 10 * 31_557_600
"""A job runs and waits for ten years at most. One that began at the Unix time 0 ran for fifty."""


FIRST_SECOND, LAST_SECOND = 1_104_537_600, 4_102_444_799
"""The Unix times of Galaxy, whose first release was in 2005, up to the year 2100. A clock that lost its battery is at
1970, or far in the future."""


MOST_CORES = 100_000
"""The cores of a job: those of the largest clusters that Galaxy sends jobs to. Each job has a part of one at least."""


MOST_BYTES = 1 << 50
"""The bytes of memory of a job, and of a dataset: 1 PiB is twenty times the memory of the largest machine, and a
dataset is one file."""


MOST_PROCESSORS = 10_000
"""The processors of one machine, where a job's control group lies: the largest have about 2,000. A job cannot have
more CPU time than all of them give while it runs. Where it does, that of the whole machine was read."""


SLACK_SECONDS = 60
"""A control group lives longer than its job's runtime says, which is in whole seconds and leaves out what the batch
system does before and after."""
