"""What was read lately, kept in memory within a budget of bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


class Memory:
    """Arrays by key; where there is no room for a new one, the oldest go."""

    def __init__(self, budget: int) -> None:
        self.budget = budget  # bytes
        self.held = 0  # bytes
        self.arrays: dict[str, NDArray[np.float32]] = {}

    def get(self, key: str, read: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the array of this key, by `read` where it is not held."""
        if key in self.arrays:
            return self.arrays[key]
        array = read()
        self.arrays[key] = array
        self.held += array.nbytes
        while self.held > self.budget and len(self.arrays) > 1:
            oldest = self.arrays.pop(next(iter(self.arrays)))
            self.held -= oldest.nbytes
        return array
