"""The figures in a line of a run's log: their names, what they are called, their units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Name: TypeAlias = tuple[str, ...]
"""A figure's name, from the outside in: ("psnr",), ("evaluation", "s1", "right")."""

EVALUATION = "evaluation"
ALL = "all"
"""The group of an evaluation that has every speaker in it."""

CONTROLS = ("right", "swapped", "still", "copy")
"""Mouth PSNR in an evaluation: from the clip's own sound, and the controls."""

_WORDS = {"l1": "L1", "psnr": "PSNR", "ssim": "SSIM"}
_CALLED = {
    "gap_to_swapped": "gap to swapped, mouth PSNR",
    "gap_to_still": "gap to still, mouth PSNR",
    "samples_per_second": "speed",
}
_CALLED_IN_EVALUATION = {
    "right": "mouth PSNR, right sound",
    "ssim": "mouth SSIM",
    "whole": "whole crop, PSNR",
    "audio_response": "response to the sound",
    "face_response": "response to the face",
}


def numbers(values: Mapping[str, Any], outer: Name = ()) -> Iterator[tuple[Name, float]]:
    """Every finite number in a line, or in a group inside it, with its name."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from numbers(value, (*outer, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                yield (*outer, key), number


def called(figure: str, evaluated: bool = False) -> str:
    """What a reader calls a figure."""
    names = _CALLED | _CALLED_IN_EVALUATION if evaluated else _CALLED
    words = (_WORDS.get(word, word) for word in figure.split("_"))
    return names.get(figure, " ".join(words))


def unit(figure: str) -> str:
    """A figure's unit; empty for a plain number."""
    if figure == "samples_per_second":
        return "samples/s"
    decibels = "psnr" in figure or figure.startswith("gap_to_") or figure in {*CONTROLS, "whole"}
    return "dB" if decibels else ""


def picture_of(name: Name) -> str:
    """The picture that a figure belongs to."""
    if name[0] == EVALUATION and len(name) > 1:
        return "evaluations"
    figure = "_".join(name)
    for start, picture in (
        ("learning_rate", "learning_rates"),
        ("gradient", "gradients"),
        ("critic_", "losses"),
        ("generator_", "losses"),
    ):
        if figure.startswith(start):
            return picture
    return "quality" if figure.rpartition("_")[2] in {"psnr", "ssim", "l1"} else "other"
