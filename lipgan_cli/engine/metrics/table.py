"""Tables of figures, which the terminal prints and reports draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Rows of cells below named columns; the first cell of a row names it.

    Cells are text as it is to be read, numbers rounded by whoever knows how far they can be
    trusted: "34.15", not 34.1514. Other numbers stand as Python writes them; None is "-".
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        check_lengths(self.columns, self.rows)

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Return the rows as text."""
        return tuple(tuple("-" if cell is None else str(cell) for cell in row) for row in self.rows)

    def numeric(self) -> tuple[bool, ...]:
        """Return for each column whether it holds numbers alone, which stand to the right."""
        rows = self.texts()
        return tuple(
            bool(rows) and all(is_number(row[place]) for row in rows)
            for place in range(len(self.columns))
        )


def is_number(cell: str) -> bool:
    """Whether a cell is a number, a percentage or stands for one that is missing."""
    try:
        float(cell.strip(" %") or "x")
    except ValueError:
        return cell in {"-", ""}
    return True


def check_lengths(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Raise ValueError where a row has another length than the columns."""
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(row)} cells stand below {len(columns)} columns: {row}")
