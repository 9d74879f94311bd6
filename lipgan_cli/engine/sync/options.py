"""What can be asked of `sync`, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import (
    DEFAULT_BLEND,
    DEFAULT_CORNER,
    DEFAULT_DETECTOR,
    DEFAULT_FIT,
    DEFAULT_LABEL_OPACITY,
    DEFAULT_LABEL_SIZE,
    Blend,
    Codec,
    Corner,
    Detector,
    Fit,
)
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.label import Label
from lipgan_cli.engine.media.people import parse
from lipgan_cli.engine.paths import check_output, require_file
from lipgan_cli.engine.provenance.sidecar import embeds, sidecar_of
from lipgan_cli.engine.run.generators import BUILT_IN, find_model

Span = tuple[float, float]  # seconds: the first, and the one after the last


@dataclass(frozen=True)
class MarkOptions:
    """What a film says of its making; paths may be text."""

    provenance: bool = True  # credentials, a tag, and a mark in the sound
    sign_cert: Path | str | None = None  # PEM; None: that of the environment, or this machine's own
    sign_key: Path | str | None = None
    consent: Path | str | None = None  # a document, of which the hash is kept
    label: str | None = None  # a text in the picture, or a language's code for its usual text
    label_corner: Corner | str = DEFAULT_CORNER
    label_size: float = DEFAULT_LABEL_SIZE  # of its font, part of the picture's shorter side
    label_opacity: float = DEFAULT_LABEL_OPACITY  # 0.5 to 1
    label_font: Path | str | None = None  # for what the usual one cannot write

    @property
    def drawn(self) -> Label | None:
        """The label, where one is wanted."""
        if self.label is None:
            return None
        font = None if self.label_font is None else Path(self.label_font)
        return Label(self.label, self.label_corner, self.label_size, self.label_opacity, font)


@dataclass(frozen=True)
class SyncOptions:
    """The face, the speech, where to, and how; paths and choices may be text.

    Raises:
        InputError: there is no such choice.
    """

    face: Path | str
    speech: Path | str
    output: Path | str
    weights: Path | str | None = None  # a file or a run; None: those that came with the install
    device: str | None = None  # None: the best one here
    person: str = "largest"  # left, right, center, a number, x,y in pixels, or a picture
    fit: Fit | str = DEFAULT_FIT
    start: float | Fraction | None = None  # seconds of the face video
    end: float | Fraction | None = None
    av_offset_ms: float = 0.0  # by how much the sound comes later than the mouth
    blend: Blend | str = DEFAULT_BLEND
    detector: Detector | str = DEFAULT_DETECTOR
    codec: Codec | str | None = None  # None: the output's usual one
    crf: int | None = None
    preset: str | None = None
    keep_audio: float | None = None  # decibels below the speech
    strict: bool = False  # a frame without a face is an error
    sheet: Path | str | None = None  # a contact sheet of the result
    cache: bool = True
    force: bool = False
    batch: int = 16  # frames painted at once
    marks: MarkOptions = MarkOptions()

    def __post_init__(self) -> None:
        for name, known in (
            ("fit", Fit),
            ("blend", Blend),
            ("detector", Detector),
            ("codec", Codec),
        ):
            value = getattr(self, name)
            if value is not None and value not in list(known):
                raise InputError(f"{name} {value!r} is none", f"known: {', '.join(known)}")

    @property
    def generator(self) -> Path:
        """The file of the weights.

        Raises:
            InputError: there is none of that name.
        """
        return BUILT_IN if self.weights is None else find_model(self.weights)

    @property
    def coding(self) -> Coding:
        codec = None if self.codec is None else Codec(self.codec)
        return Coding(codec, self.crf, self.preset)


@dataclass(frozen=True)
class SyncSummary:
    """What was made."""

    output: Path
    frames: int
    fps: Fraction
    variable_rate: bool
    seconds: float
    width: int
    height: int
    face_pixels: int  # median side of the square that is painted
    people: int  # in the face video
    cuts: tuple[float, ...]  # seconds of the face video
    without_face: tuple[Span, ...]  # of the face video
    silence: tuple[Span, ...]  # of the speech
    repeated: int  # frames that show a frame of the face video again
    cached: bool  # whether the faces had been found by an earlier run
    sheet: Path | None
    provenance: bool  # whether it is marked
    signed_by: str | None  # whom the certificate names
    own_authority: bool  # this machine's own one vouches for that name, and no other
    credentials: Path | None  # of a container that has no place for them
    elapsed: float  # seconds
    first_frame: float  # seconds until it was finished
    speed: float  # seconds of video per second
    steps: dict[str, float]  # seconds: how long each took; they overlap


LONGEST_OFFSET_MS = 10_000
SPEECH = "the speech"


def check_inputs(options: SyncOptions) -> None:
    """Check of what is given all that can be checked without decoding anything.

    Raises:
        InputError: an input is missing or no file, a number is out of its range, or choices do not
            go together.
    """
    for what, path in _inputs(options).items():
        require_file(path, what)
    _check_choices(options)
    options.coding.check(Path(options.output))


def check_face(options: SyncOptions) -> None:
    """Check what films of this face have in common, whatever is spoken and wherever they go.

    Raises:
        InputError: as `check_inputs`.
    """
    for what, path in _inputs(options).items():
        if what != SPEECH:
            require_file(path, what)
    _check_choices(options)


def _check_choices(options: SyncOptions) -> None:
    _check_numbers(options)
    _check_marks(options.marks)


def _check_marks(marks: MarkOptions) -> None:
    label = marks.drawn
    if label is not None:
        label.check()
    elif marks.label_font is not None:
        raise InputError("there is a font, and no label to write", "give --label too")
    unused = {
        "--consent": marks.consent,
        "--sign-cert": marks.sign_cert,
        "--sign-key": marks.sign_key,
    }
    for name, value in unused.items():
        if value is not None and not marks.provenance:
            raise InputError(f"{name} and --no-provenance do not go together", "leave out one")


def check_outputs(options: SyncOptions, outputs: Sequence[Path]) -> None:
    """Check that files can be written; makes their folders.

    Raises:
        InputError: one cannot be written, exists without `force`, or is one of the inputs.
    """
    if options.marks.provenance and not embeds(Path(options.output)):
        outputs = [*outputs, sidecar_of(Path(options.output))]
    for made in outputs:
        for what, path in _inputs(options).items():
            if made.exists() and made.samefile(path):
                raise InputError(
                    f"{made} is {what} itself, which would be overwritten", "give another output"
                )
        if made.is_dir():
            raise InputError(f"{made} is a folder", "give the name of a file")
        check_output(made, options.force)


def check_sheet(sheet: Path) -> None:
    """Check the name of a sheet.

    Raises:
        InputError: it is no picture's.
    """
    if sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{sheet} does not end in .png or .jpg", "name the sheet so")


def _inputs(options: SyncOptions) -> dict[str, Path]:
    """Return the files that are read, by what they are."""
    inputs = {"the face": Path(options.face), SPEECH: Path(options.speech)}
    if options.weights is not None:
        inputs["the weights file"] = options.generator
    choice = parse(options.person)
    if isinstance(choice, Path):
        inputs["the picture of the face"] = choice
    marks = options.marks
    for what, path in (
        ("the certificate", marks.sign_cert),
        ("the key", marks.sign_key),
        ("the consent document", marks.consent),
        ("the font", marks.label_font),
    ):
        if path is not None:
            inputs[what] = Path(path)
    return inputs


def _check_numbers(options: SyncOptions) -> None:
    start, end = options.start or 0, options.end
    if not 0 <= start < math.inf or not (end is None or start < end < math.inf):
        until = "its end" if end is None else f"{float(end):g} s"
        raise InputError(
            f"there is nothing from {float(start):g} s to {until}",
            "give --start and --end in seconds, the start first",
        )
    if not abs(options.av_offset_ms) <= LONGEST_OFFSET_MS:
        raise InputError(
            f"an offset of {options.av_offset_ms:g} ms",
            f"give {-LONGEST_OFFSET_MS} to {LONGEST_OFFSET_MS}",
        )
    if options.batch < 1:
        raise InputError(f"a batch of {options.batch} frames", "give 1 or more")
    if options.keep_audio is not None and not 0 <= options.keep_audio <= 100:
        raise InputError(
            f"a recording's sound {options.keep_audio:g} dB below the speech", "give 0 to 100"
        )
