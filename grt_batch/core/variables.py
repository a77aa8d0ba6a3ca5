"""The variables of the environment that begin with GRT_BATCH_: a misspelt one would have no effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields

from grt_batch.core.config import Config
from grt_batch.core.config_file import ENVIRONMENT_PREFIX, FILE_VARIABLE
from grt_batch.core.work_folder import KERNELS_VARIABLE

OF_CRON = (
    "HOME",
    "KEEP_LOGS",
    "LOGS",
    "MEMORY",
    "PARTS",
    "POLL",
    "PROFILE",
    "PYTHON",
    "QUEUE",
    "RANKS",
    "SCHEDULER",
    "SPAN",
    "SUBMIT_OPTIONS",
    "TIME",
    "WAIT",
)
"""What cron.sh reads besides the keys of the configuration."""


OF_RANKS = ("HEARTBEAT", "LAUNCH", "MPIRUN")
"""What the launcher of ranks reads, and what it sets for them."""


OF_TESTS = "TEST_"
"""What these variables begin with, after the prefix."""


def known() -> frozenset[str]:
    """Return the names of all variables that have an effect."""
    keys = (spec.name.upper() for spec in fields(Config))
    prefixed = (ENVIRONMENT_PREFIX + name for name in (*keys, *OF_CRON, *OF_RANKS))
    return frozenset({FILE_VARIABLE, KERNELS_VARIABLE, *prefixed})


def complaint(environment: Mapping[str, str] = os.environ) -> str:
    """Return what is to be said of variables that have no effect, with the names that may be meant; "" if all have
    one."""
    tests = ENVIRONMENT_PREFIX + OF_TESTS
    ours = {name for name in environment if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(tests)}
    strange = sorted(ours - known())
    if not strange:
        return ""
    return f"no such variable, so it has no effect: {', '.join(map(_with_meant, strange))}"


def _with_meant(name: str) -> str:
    from difflib import get_close_matches

    # The prefix, which they have in common, would make all of them alike.
    wanted = name.removeprefix(ENVIRONMENT_PREFIX)
    near = get_close_matches(wanted, sorted(it.removeprefix(ENVIRONMENT_PREFIX) for it in known()), n=1)
    return f"{name} (is {ENVIRONMENT_PREFIX}{near[0]} meant?)" if near else name
