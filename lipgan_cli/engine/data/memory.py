"""What was read lately, kept in memory within a budget of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

Array = TypeVar("Array", bound=NDArray[Any])


class Memory(Generic[Array]):
    """Arrays by key; where there is no room for a new one, the oldest go."""

    def __init__(self, budget: int) -> None:
        self.budget = budget  # bytes
        self.held = 0  # bytes
        self.arrays: dict[str, Array] = {}

    def get(self, key: str, read: Callable[[], Array]) -> Array:
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
