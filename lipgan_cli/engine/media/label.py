"""A label in the picture that says what it is: white letters on a dark box in a corner."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.picture import Frame

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
FAINTEST = 0.5  # with less of a box, white letters on a white picture have a contrast below 3 : 1
FEWEST_PIXELS = 8  # of a font: smaller letters cannot be read
MARGIN = 0.025  # of the picture's shorter side
PADDING = 0.3  # of the font's size: the box around the letters
DARK, WHITE = (16, 235), (0, 255)
"""Luma of black and white: in TV range, in full range."""


class Corner(StrEnum):
    """Where a label stands."""

    TOP_LEFT = "top-left"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_RIGHT = "bottom-right"
