"""Pictures of a run's figures, drawn from its log as often as one likes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.run.figures import (
    ALL,
    CONTROLS,
    EVALUATION,
    Name,
    called,
    picture_of,
    unit,
)
from lipgan_cli.engine.run.series import Series, read_series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

WIDTH, HEIGHT = 1200, 800
"""Pixels of a picture; one with many panels is higher."""

ITERATION = "iteration"

_DPI = 100
_LONG = 20  # points from which on a series needs no marks and, where it is noisy, a running mean
_MANY = 9  # speakers that can be told apart by colour
_STRONG, _FAINT = "black", "0.75"
_RATES = {
    "learning_rates": ("learning_rate", "learning rate", False),
    "gradients": ("gradient", "norm of the gradient", True),
}


@dataclass(frozen=True)
class Line:
    """A figure in a panel; a colour is chosen where none is given."""

    label: str
    series: Series
    colour: str = ""


@dataclass(frozen=True)
class Panel:
    """Figures that share two axes.

    Attributes:
        logarithmic: draw y on a logarithmic scale, where everything is positive.
        noisy: draw a running mean over a long series; else it is drawn as it is, dashed where it
            may hide another.
    """

    title: str
    lines: list[Line]
    y: str = ""
    x: str = ITERATION
    logarithmic: bool = False
    noisy: bool = True


def draw(run: Path) -> None:
    """Draw every figure in a run's log as `plots/*.png`; without figures, nothing.

    Raises:
        LipganError: the pictures cannot be written.
    """
    groups: dict[str, dict[Name, Series]] = {}
    for name, series in read_series(run).items():
        groups.setdefault(picture_of(name), {})[name] = series
    for group, figures in groups.items():
        for picture, panels in _pictures(group, figures):
            title = f"{run.name}: {picture.replace('_', ' ')}"
            _save(run / "plots" / f"{picture}.png", title, panels)


def compare(runs: Sequence[Path], path: Path) -> None:
    """Lay the figures of several runs over each other in one picture.

    Raises:
        InputError: none of the runs has any of the figures yet.
        LipganError: the picture cannot be written.
    """
    alike = len({run.name for run in runs}) < len(runs)
    logs = [(str(run) if alike else run.name, read_series(run)) for run in runs]

    colours = _colours(len(logs))

    def panel(*name: str) -> Panel:
        lines = [
            Line(label, series[name], colour)
            for colour, (label, series) in zip(colours, logs, strict=True)
            if name in series
        ]
        return Panel(called(name[-1], evaluated=name[0] == EVALUATION), lines, unit(name[-1]))

    gap = panel(EVALUATION, ALL, "gap_to_swapped")
    timed = [replace(line, series=line.series.over_hours()) for line in gap.lines]
    panels = [
        panel(EVALUATION, ALL, "right"),
        replace(panel("psnr"), title="PSNR in training"),
        gap,
        replace(gap, lines=[line for line in timed if len(line.series.x)], x="hours of training"),
        panel(EVALUATION, ALL, "audio_response"),
        panel(EVALUATION, ALL, "face_response"),
    ]
    panels = [panel for panel in panels if panel.lines]
    if not panels:
        raise InputError("none of these runs has a figure to compare yet", "train them first")
    _save(path, "", panels, shared=True)


def _colours(count: int) -> list[str]:
    """Colours to tell `count` lines apart: the usual ten, or as many as are asked for."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count <= _MANY + 1:
        return [f"C{place}" for place in range(count)]
    return [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.05, 0.95, count))]


def _pictures(picture: str, group: Mapping[Name, Series]) -> Iterator[tuple[str, list[Panel]]]:
    """The pictures of a group of figures: name and panels."""
    if picture == "evaluations":
        yield from _evaluations(group)
    elif picture == "losses":
        sides = (_side(side, group) for side in ("critic", "generator"))
        yield picture, [panel for panel in sides if panel.lines]
    elif picture in _RATES:
        start, y, noisy = _RATES[picture]
        lines = [Line(_after(start, name), one) for name, one in group.items()]
        yield picture, [Panel("", lines, y, logarithmic=noisy, noisy=noisy)]
    else:
        names = {"_".join(name): one for name, one in group.items()}
        yield picture, [Panel(called(n), [Line("", one)], unit(n)) for n, one in names.items()]


def _side(side: str, group: Mapping[Name, Series]) -> Panel:
    """A network's loss, in black, and its parts."""
    lines = [
        Line(_after(side, name), one, _STRONG if name == (f"{side}_loss",) else "")
        for name, one in group.items()
        if name[0].startswith(side)
    ]
    return Panel(f"{side}'s loss and its parts", lines, "loss")


def _after(start: str, name: Name) -> str:
    """A figure's name without what all in its panel begin with."""
    return called("_".join(name).removeprefix(start).lstrip("_") or start)


def _evaluations(group: Mapping[Name, Series]) -> Iterator[tuple[str, list[Panel]]]:
    """For everybody and by speaker; the controls of each speaker in a picture of their own."""
    figures: dict[str, dict[str, Series]] = {}
    for (_, *speaker, figure), one in group.items():
        figures.setdefault(figure, {})[" ".join(speaker)] = one
    controls = {figure: figures.pop(figure) for figure in CONTROLS if figure in figures}
    by_speaker: dict[str, list[Line]] = {}
    for place, (control, speakers) in enumerate(controls.items()):
        for name, one in speakers.items():
            by_speaker.setdefault(name, []).append(Line(control, one, f"C{place}"))
    total = by_speaker.pop(ALL, None)
    panels = [Panel("mouth PSNR, all speakers", total, "dB")] if total else []
    if "right" in controls:
        panels.append(Panel("mouth PSNR, right sound", _speakers(controls["right"]), "dB"))
    panels += [
        Panel(called(figure, evaluated=True), _speakers(speakers), unit(figure))
        for figure, speakers in figures.items()
    ]
    yield "evaluations", panels
    if by_speaker:
        yield (
            "speakers",
            [Panel(f"{speaker}, mouth PSNR", lines, "dB") for speaker, lines in by_speaker.items()],
        )


def _speakers(speakers: Mapping[str, Series]) -> list[Line]:
    """A line for each speaker, those of many in one faint colour, and a black one for all."""
    own = [name for name in speakers if name != ALL]
    if len(own) > _MANY:
        labels = [f"one of {len(own)}", *[""] * (len(own) - 1)]
        lines = [
            Line(label, speakers[name], _FAINT) for label, name in zip(labels, own, strict=True)
        ]
    else:
        lines = [Line(name, speakers[name], f"C{place}") for place, name in enumerate(own)]
    if ALL in speakers:
        lines.append(Line(ALL, speakers[ALL], _STRONG))
    return lines


def _save(path: Path, title: str, panels: Sequence[Panel], shared: bool = False) -> None:
    """Draw panels as a PNG, a few below each other; `shared`: with one legend for all."""
    # Imported here: it takes long, and a run that never draws has no use for it.
    from matplotlib.figure import Figure

    columns = sum(len(panels) > few for few in (0, 3, 12))
    rows = math.ceil(len(panels) / columns)
    height = max(HEIGHT, 260 * rows)
    figure = Figure((WIDTH / _DPI, height / _DPI), _DPI, layout="constrained")
    figure.suptitle(_shown(title))
    named: dict[str, Line2D] = {}
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        lines = _draw(axes, panel)
        if shared:
            named |= lines
        elif lines:
            axes.legend(
                lines.values(),
                lines.keys(),
                loc="upper left",
                bbox_to_anchor=(1.01, 1),
                borderaxespad=0,
                fontsize="small",
            )
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=10 // columns, integer=panel.x == ITERATION)
    if named:
        figure.legend(named.values(), named.keys(), loc="outside right upper", fontsize="small")
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # A speaker's or a run's name may have letters that the font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(temporary, dpi=_DPI, format="png")


def _draw(axes: Axes, panel: Panel) -> dict[str, Line2D]:
    """Draw a panel; returns its lines by their labels."""
    drawn = {}
    for place, line in enumerate(panel.lines):
        line = line if line.colour else replace(line, colour=f"C{place}")
        dashed = place > 0 and not panel.noisy
        drawn[_shown(line.label)] = _draw_line(axes, line, panel.noisy, dashed)
    drawn.pop("", None)
    axes.set_title(_shown(panel.title), fontsize="medium", y=1.0)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.grid(alpha=0.3)
    if panel.logarithmic and all((line.series.y > 0).all() for line in panel.lines):
        axes.set_yscale("log")
    else:
        axes.set_ylim(*_range(panel.lines))
    return drawn


def _draw_line(axes: Axes, line: Line, noisy: bool, dashed: bool) -> Line2D:
    """Draw a short series with its points, a noisy long one thinly with its running mean."""
    series, width = line.series, 1.8 if line.colour == _STRONG else 1.3
    marker = "o" if len(series.x) < _LONG else ""
    if line.colour == _FAINT and len(series.x) > 1:
        marker, width = "", 0.8
    if noisy and len(series.x) >= _LONG:
        raw, series = series.outline(), series.running_mean()
        axes.plot(raw.x, raw.y, color=line.colour, linewidth=0.5, alpha=0.35)
    shown = series.outline()
    (drawn,) = axes.plot(
        shown.x,
        shown.y,
        "--" if dashed else "-",
        marker=marker,
        markersize=4,
        color=line.colour,
        linewidth=width,
    )
    return drawn


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    """Where y begins and ends: a few points far off the others do not press these flat."""
    y = np.concatenate([line.series.y for line in lines])
    least, low, high, greatest = np.percentile(y, [0, 1, 99, 100])
    if len(y) >= _LONG and greatest - least > 4 * (high - low) > 0:
        least, greatest = low - (high - low) / 2, high + (high - low) / 2
    margin = 0.05 * (greatest - least) or 0.05 * abs(least) or 1.0
    return float(least - margin), float(greatest + margin)


def _shown(text: str) -> str:
    """A text that matplotlib takes as it is, neither as a formula nor as a thing to hide."""
    return (" " + text if text.startswith("_") else text).replace("$", r"\$")
