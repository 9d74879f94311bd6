"""Box plots of the figures of several models, as figures 7.14 and 7.15 of the thesis."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.metrics.report import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHISKER = 1.5
"""How many heights of its box a whisker reaches at most."""

_WIDTH = 5.5  # inches, as all of these sizes; an inch of an SVG is 96 pixels of a page
_LINE = 0.17
_GAP = 0.28
_AXIS = 0.65
_SHORT, _NAME_LINES = 28, 3  # letters of a line, lines of a name
_FILL, _EDGE, _MEDIAN = "#8fb8de", "#1f4e79", "#b3261e"
_SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 10,
    # Letters as outlines look the same without the font. The salt stands for a random number.
    "svg.fonttype": "path",
    "svg.hashsalt": "lipgan",
}


@dataclass(frozen=True)
class Box:
    """Where a group's box, median and whiskers are; None where no value is finite.

    The whiskers end at the outermost values that are at most 1.5 times the height of the box from
    it; what lies beyond is not drawn.

    Attributes:
        count: finite values, which everything is taken over.
        infinite: values left out, as the PSNR of identical pictures.
        undefined: values left out that are not numbers.
    """

    low: float | None
    first: float | None
    median: float | None
    third: float | None
    high: float | None
    count: int
    infinite: int
    undefined: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Box:
        """Find the box of any number of values, with the quartiles that matplotlib draws."""
        every = np.asarray(values, dtype=np.float64).ravel()
        kept = every[np.isfinite(every)]
        undefined = int(np.isnan(every).sum())
        left_out = int(every.size - kept.size) - undefined, undefined
        if not kept.size:
            return cls(None, None, None, None, None, 0, *left_out)
        first, median, third = (float(value) for value in np.percentile(kept, [25, 50, 75]))
        reach = WHISKER * (third - first)
        # Quartiles lie between values: there may be none between a quartile and its fence.
        low = min(float(kept[kept >= first - reach].min()), first)
        high = max(float(kept[kept <= third + reach].max()), third)
        return cls(low, first, median, third, high, int(kept.size), *left_out)

    def left_out(self) -> str:
        """Say what is not in the box, or nothing."""
        named = ((self.infinite, "infinite"), (self.undefined, "undefined"))
        told = ", ".join(f"{number:,} {name}" for number, name in named if number)
        return f"{told} left out" if told else ""


def box_plot(groups: Mapping[str, NDArray[np.float64]], label: str) -> str:
    """Draw a box for each group, the first on top, as an SVG without outliers.

    The boxes lie, so that many and long names can be read. A group without finite values has a
    row without a box. The same values give the same text.

    Args:
        groups: the values of each model or control by its name; at least one group.
        label: what the values are, with their unit: "PSNR in dB".
    """
    if not groups:
        raise ValueError("there is nothing to draw")
    # Imported here: it takes long, and a score without a report has no use for it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    boxes = [Box.of(values) for values in groups.values()]
    names = [_tick(name, box) for name, box in zip(groups, boxes, strict=True)]
    heights = [_GAP + _LINE * (name.count("\n") + 1) for name in names]
    drawn = StringIO()
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # A model's name may have letters that the font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure((_WIDTH, _AXIS + sum(heights)), layout="constrained")
        axes = figure.add_subplot()
        middles = np.cumsum(heights) - np.array(heights) / 2
        _draw(axes, boxes, middles)
        axes.set_yticks(middles, names, parse_math=False)
        axes.set_ylim(sum(heights), 0)
        axes.set_xlabel(visible(label), parse_math=False)
        figure.savefig(
            drawn,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    text = drawn.getvalue()
    return text[text.index("<svg") :]  # a picture inside a page has no use for XML's own header


def describe(groups: Mapping[str, NDArray[np.float64]], label: str) -> str:
    """Say in words what `box_plot` draws, for who cannot see it."""
    told = [_told(name, Box.of(values)) for name, values in groups.items()]
    return f"Box plot of {label}. " + "; ".join(told)


def _told(name: str, box: Box) -> str:
    left_out = box.left_out()
    if box.median is None:
        return f"{name}: " + ", ".join(filter(None, ("no values", left_out)))
    median, first, third, low, high = (
        f"{value:.4g}" for value in (box.median, box.first, box.third, box.low, box.high)
    )
    return (
        f"{name}: median {median}, box {first} to {third}, whiskers {low} to {high}, "
        + ", ".join(filter(None, (f"{box.count:,} values", left_out)))
    )


def _draw(axes: Axes, boxes: Sequence[Box], middles: NDArray[np.float64]) -> None:
    """Draw boxes at their heights; every part has the number of its box as its id."""
    for number, (box, y) in enumerate(zip(boxes, middles, strict=True)):
        if box.low is None or box.first is None or box.median is None:
            continue
        assert box.high is not None and box.third is not None
        half, cap = 0.14, 0.07
        for side, (near, far) in enumerate(((box.first, box.low), (box.third, box.high))):
            line = [near, far, far, far], [y, y, y - cap, y + cap]
            axes.plot(*line, color=_EDGE, linewidth=1.2, gid=f"whisker-{number}-{side}")
        axes.fill(
            [box.first, box.third, box.third, box.first],
            [y - half, y - half, y + half, y + half],
            facecolor=_FILL,
            edgecolor=_EDGE,
            linewidth=1.2,
            gid=f"box-{number}",
            zorder=2,
        )
        axes.plot(
            [box.median] * 2,
            [y - half, y + half],
            color=_MEDIAN,
            linewidth=2,
            solid_capstyle="butt",
            gid=f"median-{number}",
            zorder=3,
        )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if not any(box.count for box in boxes):
        axes.set_xticks([])  # numbers there would mean nothing


def _tick(name: str, box: Box) -> str:
    """A group's name as lines that fit beside its box, and what is missing in it."""
    name = visible(" ".join(name.split()))
    lines = textwrap.wrap(name, _SHORT) or [""]
    if len(lines) > _NAME_LINES:
        # What tells paths apart stands at either end.
        end = name[1 - 2 * _SHORT :]
        lines = [lines[0], f"\u2026{end[: _SHORT - 1]}", end[_SHORT - 1 :]]
    notes = [] if box.count else ["no values"]
    notes += [note for note in (box.left_out(),) if note]
    return "\n".join((*lines, *notes))
