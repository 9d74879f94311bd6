"""Files of tensors that were made from a published pickle: where they come from, are they whole.

The header of such a file has the SHA-256 of the published file, which was verified before, and the
SHA-256 of its own content. The second one finds damage; it is no proof against a forger, who could
write both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

_NOTE = "lipgan-converted/1"
_LONGEST = 10_000_000  # bytes of a header


def read_header(path: Path) -> dict[str, str]:
    """What the header of a .safetensors file says of it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    with path.open("rb") as stream:
        return _table(stream)[0]


def read_about(path: Path) -> Any:
    """What trained the weights in a file of ours; nothing where that is not told.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    return json.loads(read_header(path).get("about", "{}"))


def header_of(file: str, sha256: str, content: str) -> dict[str, str]:
    """The header of what is made from a published file; see `content_digest`.

    It has one entry, since safetensors writes several in an order of chance.
    """
    return {_NOTE: json.dumps({"file": file, "sha256": sha256, "content": content})}


def source_of(path: Path) -> str | None:
    """The SHA-256 of the published file that this one was made from.

    None where it was made otherwise, or is damaged.
    """
    try:
        with path.open("rb") as stream:
            header, table = _table(stream)
            note = json.loads(header[_NOTE])
            if note["content"] == _digest(table, stream):
                return str(note["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def content_digest(stream: BinaryIO) -> str:
    """The SHA-256 of a .safetensors file's names, types, shapes and values, without the header.

    Raises:
        ValueError: it is no such file.
    """
    return _digest(_table(stream)[1], stream)


def _table(stream: BinaryIO) -> tuple[dict[str, str], dict[str, Any]]:
    """Read what is said of the file, and where its tensors are."""
    length = int.from_bytes(stream.read(8), "little")
    if length > _LONGEST:
        raise ValueError("no .safetensors file")
    table = json.loads(stream.read(length))
    if not isinstance(table, dict):
        raise ValueError("no .safetensors file")  # noqa: TRY004 - of the file, not of an argument
    header = table.pop("__metadata__", {})
    return header if isinstance(header, dict) else {}, table


def _digest(table: dict[str, Any], values: BinaryIO) -> str:
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode())
    while block := values.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
