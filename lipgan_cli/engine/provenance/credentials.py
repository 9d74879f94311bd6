"""Content Credentials (C2PA): a finished film is signed, with what it was made from."""

from __future__ import annotations

import io
import mimetypes
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lipgan_cli import __version__
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.provenance import library
from lipgan_cli.engine.provenance.identity import Identity
from lipgan_cli.engine.provenance.origin import LABEL, Origin
from lipgan_cli.engine.provenance.sidecar import embeds, media_type, sidecar_of
from lipgan_cli.engine.provenance.tags import SOURCE_TYPE

TOOL = {"name": "lipgan", "version": __version__}


def sign(film: Path, final: Path, origin: Origin, identity: Identity) -> Path | None:
    """Sign a finished film in place; return the file of its credentials, where they lie beside it.

    film: the temporary file, which is to be renamed to `final`.

    Raises:
        LipganError: it cannot be written, or the library refuses it.
    """
    c2pa = library.load()
    size = film.stat().st_size
    kind, stated = media_type(final), origin.statement
    try:
        with (
            identity.signer() as signer,
            library.context(size=size) as context,
            c2pa.Builder(_manifest(final, origin), context) as builder,
            film.open("rb", buffering=0) as unsigned,
        ):
            _take_over(builder, "face", "parentOf", origin.face, stated.face_sha256)
            _take_over(builder, "speech", "componentOf", origin.speech, stated.speech_sha256)
            if embeds(final):
                with atomic_path(film) as signed, signed.open("w+b", buffering=0) as written:
                    builder.sign(signer, kind, unsigned, written)
                return None
            builder.set_no_embed()
            manifest: bytes = builder.sign(signer, kind, unsigned, _Nowhere())
    except c2pa.C2paError as error:
        raise LipganError(
            f"{final} cannot be signed: {error}",
            "is there room for it in the folder, and in that for temporary files?",
        ) from error
    beside = sidecar_of(final)
    with atomic_path(beside) as temporary:
        temporary.write_bytes(manifest)
    return beside


def _manifest(final: Path, origin: Origin) -> dict[str, object]:
    """Return what is stated: the face was opened, the speech laid under it, the mouth made."""
    stated = origin.statement
    model = {
        "label": "model",
        "title": stated.model,
        "format": "application/octet-stream",
        "relationship": "inputTo",
        "description": f"SHA-256 {stated.model_sha256}",
        "data_types": [{"type": "c2pa.types.model.pytorch"}],
    }
    made = {
        "action": "c2pa.edited",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "softwareAgent": TOOL,
        "digitalSourceType": SOURCE_TYPE,
        "description": "The mouth was made by a trained model to fit the speech.",
        "parameters": {"ingredientIds": ["model"]},
    }
    actions = [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["face"]}},
        {"action": "c2pa.placed", "parameters": {"ingredientIds": ["speech"]}},
        made,
    ]
    return {
        "title": os.fsencode(final.name).decode("utf-8", "replace"),
        "claim_generator_info": [TOOL],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": LABEL, "data": stated.assertion()},
        ],
        "ingredients": [model],
    }


def _take_over(builder: Any, role: str, relationship: str, path: Path, sha256: str) -> None:
    """Add an input, with the credentials that it has of its own.

    It is told by its hash, and not by its name, which may be private.
    """
    c2pa = library.load()
    ingredient = {
        "label": role,
        "title": role,
        "format": mimetypes.guess_type(f"x{path.suffix}")[0] or "application/octet-stream",
        "relationship": relationship,
        "description": f"SHA-256 {sha256}",
    }
    suffix = path.suffix.lower().lstrip(".")
    known = suffix in c2pa.Builder.get_supported_mime_types()
    try:
        with path.open("rb", buffering=0) as stream:
            builder.add_ingredient(ingredient, suffix if known else "", stream)
    except (c2pa.C2paError, OSError):  # the suffix is wrong, or the credentials are no such
        builder.add_ingredient(ingredient, "", io.BytesIO())


class _Nowhere(io.RawIOBase):
    """Takes the copy of a film that the library makes where the credentials lie beside it."""

    def __init__(self) -> None:
        self._place = self._size = 0

    def read(self, size: int = -1) -> bytes:
        return b""

    def write(self, data: Any) -> int:
        self._place += len(data)
        self._size = max(self._size, self._place)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place
