"""Shards: a table dealt to several runs that know nothing of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lipgan_cli.engine.errors import InputError

_TOLD = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of a table, by its number from 1 on.

    Rows are dealt in turn, so that long and short messages are spread, and rows that are added at
    the end of a table move none of the others.
    """

    number: int
    count: int

    def has(self, position: int) -> bool:
        """Return whether a row, counted from 0, belongs to this shard: to exactly one of all."""
        return position % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Return the shard that `2/8` means.

    Raises:
        InputError: it is none.
    """
    told = _TOLD.fullmatch(text)
    if told is None:
        raise InputError(
            f"{text!r} is no shard", "give its number and how many there are, such as 2/8"
        )
    number, count = map(int, told.groups())
    if not 1 <= number <= count:
        known = f"they are 1/{count} to {count}/{count}" if count else "there is at least one"
        raise InputError(
            f"there is no shard {number}/{count}",
            f"{known}; a job array that counts from 0 adds 1 to its number",
        )
    return Shard(number, count)
