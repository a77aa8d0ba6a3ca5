"""A column of many pieces, none of which is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Growing:
    """A column that grows at its end. What is appended is copied, so that the message or the block that it came with
    can go; and where the system can move the pages of a large column, it never stands there twice."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._values = np.empty(0, dtype)
        self._size = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        """Put `values` behind those that there are. No view of the column may be in use."""
        size = self._size + len(values)
        if size > len(self._values):
            self._values.resize(max(size, len(self._values) * 9 // 8), refcheck=False)
        self._values[self._size : size] = values
        self._size = size

    def values(self) -> npt.NDArray[Any]:
        """A view of the column."""
        return self._values[: self._size]
