"""Codes for leaves and their names: each is stored once.

`out`, uint8[n], has all texts. `names`, int64[names, 2], holds where each name starts and ends there; `known`,
int64[leaves, 3], the code of each leaf's name, and where its value starts and ends. `table`, int64[n], is a hash table
of codes + 1. `state` counts what there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.constants import MOST_NAMES_BYTES
from grt_batch.kernels.interning import hash_text
from grt_batch.kernels.json_text import ODD
from grt_batch.kernels.words import equal

DATA = -1
"""In place of the start of a value: it names datasets."""


STATE = 5
NAMES, LEAVES, SIZE, CODES, OBJECTS = range(STATE)
"""Places in `state`: the numbers of names, leaves, bytes of texts, codes of the leaves of values, and objects."""


@compiled
def code_of(name: Any, name_end: Any, out: Any, table: Any, names: Any, state: Any) -> Any:
    """Return the code of a name, ODD if there is no room for another one."""
    mask = np.uint64(table.size - 1)
    slot = hash_text(name, 0, name_end, 0xCBF29CE484222325) & mask
    while table[slot] != 0:
        code = table[slot] - 1
        if names[code, 1] - names[code, 0] == name_end and equal(out, names[code, 0], name, 0, name_end):
            return code
        slot = (slot + np.uint64(1)) & mask
    code, size = state[NAMES], state[SIZE]
    if code == names.shape[0] or size + name_end > out.size:
        return ODD
    for i in range(name_end):
        out[size + i] = name[i]
    table[slot] = code + 1
    names[code, 0], names[code, 1] = size, size + name_end
    state[NAMES] += 1
    state[SIZE] += name_end
    return code


@compiled
def keep(
    number: Any,
    found: Any,
    pending: Any,
    count: Any,
    out: Any,
    table: Any,
    names: Any,
    stamps: Any,
    known: Any,
    codes: Any,
    state: Any,
) -> None:
    """Write the codes of the pending leaves of a value, each once; none if there is no room for all of them."""
    bytes_of_names, bytes_of_values = 0, 0
    for i in range(count):
        name = names[pending[i, 0]]
        bytes_of_names += name[1] - name[0]
        bytes_of_values += max(pending[i, 2] - pending[i, 1], 0)
    room = state[SIZE] + bytes_of_values <= out.size and state[LEAVES] + count <= known.shape[0]
    if bytes_of_names > MOST_NAMES_BYTES or not room or state[CODES] + count > codes.size:
        return
    mask = np.uint64(table.size - 1)
    for i in range(count):
        name, start, end = pending[i]
        length = end - start
        seed = np.uint64(name + 1) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(-min(start, 0))
        slot = hash_text(found, max(start, 0), max(start, 0) + length, seed) & mask
        code = -1
        while table[slot] != 0 and code < 0:
            code = table[slot] - 1
            at = known[code, 1]
            alike = known[code, 0] == name and known[code, 2] - at == length and min(at, 0) == min(start, 0)
            if not alike or (start >= 0 and not equal(out, at, found, start, length)):
                code = -1
                slot = (slot + np.uint64(1)) & mask
        if code < 0:
            code = state[LEAVES]
            table[slot] = code + 1
            known[code, 0], known[code, 1], known[code, 2] = name, start, end
            if start >= 0:
                size = state[SIZE]
                for k in range(length):
                    out[size + k] = found[start + k]
                known[code, 1], known[code, 2] = size, size + length
                state[SIZE] += length
            state[LEAVES] += 1
        if stamps[code] != number:
            stamps[code] = number
            codes[state[CODES]] = code
            state[CODES] += 1
