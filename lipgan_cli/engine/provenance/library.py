"""The C2PA library, loaded when it is needed, and kept off the network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lipgan_cli.engine.errors import LipganError

LARGE_MIB = 64
"""Larger films are hashed in pieces, so that memory does not grow with their length."""
PIECE_KIB = 4096
EXTENDED_KEY_USAGES = (
    "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.36",  # document signing
    "1.3.6.1.4.1.311.76.59.1.9",  # C2PA signing, Microsoft's
)
"""What a certificate must be for, so that it can sign (C2PA 2.2, section 14.4.1)."""

_NAMED = "C2PA_LIBRARY_NAME"
_BINARIES = {"win32": "c2pa_c.dll", "darwin": "libc2pa_c.dylib"}


def load() -> Any:
    """Return the module `c2pa`.

    Raises:
        LipganError: it is not installed, or its library does not run on this machine.
    """
    try:
        with _own_binary():
            import c2pa
    except (ImportError, OSError, RuntimeError) as error:
        raise LipganError(
            f"the C2PA library cannot be loaded: {error}",
            "pip install --force-reinstall c2pa-python",
        ) from error
    return c2pa


def context(anchors: str = "", size: int = 0) -> Any:
    """Return a context for reading, or for signing a film of `size` bytes.

    anchors: certificates of the authorities that are trusted, PEM.
    """
    core: dict[str, object] = {
        "backing_store_memory_threshold_in_mb": LARGE_MIB,
        "allowed_network_hosts": [],
        "allow_redirects": False,
        "decode_identity_assertions": False,  # these would ask the network
    }
    if size > LARGE_MIB << 20:
        core["merkle_tree_chunk_size_in_kb"] = PIECE_KIB
    settings: dict[str, Mapping[str, object]] = {
        "core": core,
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
        "trust": {"trust_config": "\n".join(EXTENDED_KEY_USAGES)},
        "builder": {
            "thumbnail": {"enabled": False},
            "created_assertion_labels": ["c2pa.actions", "c2pa.ingredient", "lipgan.sync"],
        },
    }
    if anchors:
        settings["trust"] = {**settings["trust"], "user_anchors": anchors}
    return load().Context.from_dict({"version": 1, **settings})


@contextmanager
def _own_binary() -> Iterator[None]:
    """Let the package load the library that it came with.

    It would look into the working folder first, where a stranger's file may lie.
    """
    package = find_spec("c2pa")
    if package is None or package.origin is None or "c2pa" in sys.modules:
        yield
        return
    binary = Path(package.origin).parent / "libs" / _BINARIES.get(sys.platform, "libc2pa_c.so")
    if _NAMED in os.environ or not binary.is_file():
        yield
        return
    os.environ[_NAMED] = str(binary.absolute())
    try:
        yield
    finally:
        del os.environ[_NAMED]
