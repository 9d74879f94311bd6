"""What was read lately is kept, within the budget."""

from __future__ import annotations

import numpy as np

from lipgan_cli.engine.data.memory import Memory


def test_the_oldest_go_where_there_is_no_room():
    memory, reads = Memory(budget=100), []

    def get(key, numbers=10):  # 40 bytes
        def read():
            reads.append(key)
            return np.zeros(numbers, np.float32)

        assert len(memory.get(key, read)) == numbers
        assert memory.held == sum(array.nbytes for array in memory.arrays.values())

    for key in "abab":
        get(key)
    assert reads == ["a", "b"]
    get("c")
    assert list(memory.arrays) == ["b", "c"]
    get("a")
    assert reads == ["a", "b", "c", "a"]
    # The newest is kept, however large it is.
    get("long", 1000)
    get("long", 1000)
    assert reads[4:] == ["long"]
    assert list(memory.arrays) == ["long"]
