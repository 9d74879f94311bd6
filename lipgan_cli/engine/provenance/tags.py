"""The tag in a container's own metadata: in words, and in the terms of the press (IPTC)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lipgan_cli import __version__

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for what was partly made by a trained model."""

_TERM = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w+)", re.IGNORECASE)
_MADE = re.compile("trainedAlgorithmicMedia|algorithmicMedia|compositeSynthetic", re.IGNORECASE)


def tags() -> dict[str, str]:
    """Return the metadata of a film, by the keys that FFmpeg's `-metadata` takes.

    `comment` is the one that every container keeps; keys that one does not know it leaves out.
    """
    told = f"AI-generated: the mouth was made by lipgan {__version__} to fit this speech."
    return {
        "comment": f"{told} DigitalSourceType: {SOURCE_TYPE}",
        "description": told,
        "DigitalSourceType": SOURCE_TYPE,
    }


def find_tag(metadata: Mapping[str, str]) -> str | None:
    """Return what metadata say of a film made by a model, or None; takes those of other tools.

    The longest value that names IPTC's term for it, or that says so in the words of `tags`.
    """
    found = [text for text in metadata.values() if _says_so(text)]
    return max(found, key=len, default=None)


def is_made(source_type: str) -> bool:
    """Whether IPTC's term for where something comes from means a model, in whole or in part."""
    return _MADE.search(source_type) is not None


def _says_so(text: str) -> bool:
    term = _TERM.search(text)
    return text.startswith("AI-generated") or (term is not None and is_made(term[1]))
