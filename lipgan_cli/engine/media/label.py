"""A label in the picture that says what it is: white letters on a dark box in a corner."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.choices import (
    DEFAULT_CORNER,
    DEFAULT_LABEL_OPACITY,
    DEFAULT_LABEL_SIZE,
    Corner,
)
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.paths import require_file

TEXTS = {
    "bg": "Генерирано от ИИ",
    "cs": "Vygenerováno pomocí AI",
    "da": "AI-genereret",
    "de": "KI-generiert",
    "el": "Δημιουργήθηκε με τεχνητή νοημοσύνη",
    "en": "AI-generated",
    "es": "Generado con IA",
    "et": "Loodud tehisintellektiga",
    "fi": "Luotu tekoälyllä",
    "fr": "Généré par IA",
    "ga": "Ginte le hintleacht shaorga",
    "hr": "Generirano umjetnom inteligencijom",
    "hu": "Mesterséges intelligenciával készült",
    "it": "Generato con IA",
    "lt": "Sukurta dirbtinio intelekto",
    "lv": "Radīts ar mākslīgo intelektu",
    "mt": "Iġġenerat bl-IA",
    "nl": "Gegenereerd met AI",
    "pl": "Wygenerowano przez AI",
    "pt": "Gerado por IA",
    "ro": "Generat cu IA",
    "sk": "Vygenerované pomocou AI",
    "sl": "Ustvarjeno z umetno inteligenco",
    "sv": "AI-genererat",
}
"""By the code of ISO 639-1: the official languages of the European Union."""

SMALLEST, LARGEST = 0.02, 0.2  # of the picture's shorter side
FAINTEST = 0.5
DARKNESS = 0.85
"""Of the box behind the letters. On a white picture the faintest label has a contrast of 3 : 1."""
FEWEST_PIXELS = 8  # of a font: smaller letters cannot be read
MARGIN = 0.025  # of the picture's shorter side, around the box
PADDING = 0.35  # of the font's size, around the letters
SCALE = 256  # of opacity in whole numbers
GREY = 128  # chroma without colour


@dataclass(frozen=True)
class Label:
    """What is written into a picture, and how; a language's code is its text for generated media.

    Letters that do not fit into the picture's width are made smaller.
    """

    text: str
    corner: Corner | str = DEFAULT_CORNER
    size: float = DEFAULT_LABEL_SIZE  # of the font, as part of the picture's shorter side
    opacity: float = DEFAULT_LABEL_OPACITY
    font: Path | None = None  # None: DejaVu Sans, for Latin, Greek, Cyrillic, Arabic and others

    def check(self) -> None:
        """Check all that can be checked before the picture's size is known.

        Raises:
            InputError: the label would be empty, illegible or in letters that the font lacks.
        """
        if not self.line:
            raise InputError("the label is empty", "give a text, such as 'AI-generated', or de")
        if self.corner not in list(Corner):
            raise InputError(f"corner {self.corner!r} is none", f"known: {', '.join(Corner)}")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(
                f"a label of {self.size:g} of the picture's shorter side",
                f"give {SMALLEST:g} to {LARGEST:g}",
            )
        if not FAINTEST <= self.opacity <= 1:
            raise InputError(
                f"a label of opacity {self.opacity:g} cannot be read on every picture",
                f"give {FAINTEST:g} to 1",
            )
        _check_letters(self.line, self._face)

    @property
    def line(self) -> str:
        """The text as it is written, in one line."""
        known = TEXTS.get(self.text.strip().lower(), self.text)
        return unicodedata.normalize("NFC", " ".join(known.split()))

    @property
    def _face(self) -> Path:
        if self.font is not None:
            return require_file(self.font, "the font")
        import matplotlib as mpl  # which has the font, and takes long to load

        return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"

    def stamp(self, width: int, height: int, full_range: bool = False) -> Stamp:
        """Return the label for frames of a size, whose luma is in TV range or in full range.

        Raises:
            InputError: as `check`, or the picture is too small for the text.
        """
        self.check()
        letters = self._letters(width, height)
        margin = _even(MARGIN * min(width, height))
        box_height, box_width = letters.shape
        corner = Corner(self.corner)
        right = corner in (Corner.TOP_RIGHT, Corner.BOTTOM_RIGHT)
        low = corner in (Corner.BOTTOM_LEFT, Corner.BOTTOM_RIGHT)
        left = width // 2 * 2 - margin - box_width if right else margin
        top = height // 2 * 2 - margin - box_height if low else margin
        black, white = (0, 255) if full_range else (16, 235)
        # The letters lie on the box, and both together on the picture.
        cover = letters + (1 - letters) * DARKNESS
        shown = letters * white + (1 - letters) * DARKNESS * black
        coarse = cover.reshape(box_height // 2, 2, box_width // 2, 2).mean(axis=(1, 3))
        return Stamp(
            (height, width),
            top,
            left,
            _whole(1 - self.opacity * cover),
            _whole(self.opacity * shown),
            _whole(1 - self.opacity * coarse),
        )

    def _letters(self, width: int, height: int) -> NDArray[np.float64]:
        """Return how much of each pixel of the box is letter, 0 to 1; the box has even sides."""
        shorter = min(width, height)
        room = width - 2 * _even(MARGIN * shorter)
        pixels = max(round(self.size * shorter), FEWEST_PIXELS)
        while True:
            font = ImageFont.truetype(str(self._face), pixels)
            left, top, right, bottom = font.getbbox(self.line)
            # As high as any text of the font, so that labels of one size look alike.
            top, bottom = min(top, 0), max(bottom, sum(font.getmetrics()))
            padding = round(PADDING * pixels)
            box = _even(right - left + 2 * padding), _even(bottom - top + padding)
            if box[0] <= room and box[1] <= height // 2:
                break
            if pixels <= FEWEST_PIXELS:
                raise InputError(
                    f"the label of {len(self.line)} letters does not fit into {width}x{height}",
                    "give a shorter text",
                )
            pixels = max(FEWEST_PIXELS, min(pixels - 1, int(pixels * room / box[0])))
        image = Image.new("L", box)
        place = padding - left, (padding - top) // 2
        ImageDraw.Draw(image).text(place, self.line, fill=255, font=font)
        return np.asarray(image, np.float64) / 255


@dataclass(frozen=True, eq=False)
class Stamp:
    """A label that was drawn once, for frames of one size."""

    size: tuple[int, int]  # height, width of the frames
    top: int  # even
    left: int  # even
    kept: NDArray[np.uint16]  # how much of the picture's luma stays, of 256
    added: NDArray[np.uint16]  # the label's luma, times 256
    coarse: NDArray[np.uint16]  # how much of the chroma stays, of 256: the label has no colour

    def draw(self, frame: Frame) -> None:
        """Draw the label into an I420 frame, uint8 (height * 3 // 2, width)."""
        height, width = self.size
        if frame.shape != (height * 3 // 2, width) or not frame.flags.c_contiguous:
            raise ValueError(f"the frame is {frame.shape}, the label for {width}x{height}")
        rows, columns = self.kept.shape
        luma, *chromas = planes(frame)
        whole = luma[self.top : self.top + rows, self.left : self.left + columns]
        whole[:] = (whole * self.kept + self.added + SCALE // 2) // SCALE
        top, left = self.top // 2, self.left // 2
        for chroma in chromas:
            half = chroma[top : top + rows // 2, left : left + columns // 2]
            half[:] = (half * self.coarse + self._grey + SCALE // 2) // SCALE

    @property
    def _grey(self) -> NDArray[np.uint16]:
        return np.uint16(GREY) * (np.uint16(SCALE) - self.coarse)


def _even(pixels: float) -> int:
    """Return the next even number, because a pixel of chroma is two by two of luma."""
    return 2 * -(-round(pixels) // 2)


def _whole(part: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.rint(part * SCALE).astype(np.uint16)


def _check_letters(line: str, font: Path) -> None:
    """Check that a font has what a text needs.

    Raises:
        InputError: it is no font, lacks letters, or the text runs from right to left and what
            arranges such letters is not installed.
    """
    from matplotlib.ft2font import FT2Font  # which takes long to load

    try:
        has = FT2Font(str(font)).get_charmap()
        ImageFont.truetype(str(font), FEWEST_PIXELS)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{font} is not a font that can be read", "give a .ttf or .otf") from error
    lacking = [letter for letter in dict.fromkeys(line) if ord(letter) not in has]
    if lacking:
        names = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in lacking[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise InputError(
            f"the font {font.name} lacks {names}{more}", "bring one with --label-font FILE"
        )
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line) and not (
        features.check("raqm")
    ):
        raise InputError(
            "the label runs from right to left, which this installation cannot set",
            "install Raqm for Pillow, or give another text",
        )
