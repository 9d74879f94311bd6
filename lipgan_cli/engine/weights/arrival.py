"""What arrived, from wherever: unpacked, verified, turned into safetensors, put in place."""

from __future__ import annotations

import bz2
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.weights import version_of
from lipgan_cli.engine.weights.registry import Version, WeightsFile

BLOCK = 1 << 18  # bytes


class OtherFileError(Exception):
    """What came is not the file; the reason follows "it is" or "it gave"."""


def settle(row: WeightsFile, arrived: Path, target: Path) -> Version:
    """Unpack what arrived, verify it, turn a pickle into safetensors, and put it in place.

    Raises:
        OtherFileError: it is not the file.
        LipganError: `target` cannot be written.
        OSError: `arrived` cannot be read.
    """
    with arrived.open("rb") as stream:
        beginning = stream.read(9)
    with atomic_path(target) as temporary:
        if row.pickled and beginning[8:9] == b"{":  # as a .safetensors file begins
            shutil.copyfile(arrived, temporary)
            version = version_of(row, temporary)
            if version is None:
                raise OtherFileError("a .safetensors file that is not whole or not of these")
            return version
        blocks = _unpacked(arrived) if beginning.startswith(b"BZh") else _blocks(arrived)
        digest = _store(blocks, row.size, temporary)
        version = row.version(digest)
        if version is None:
            expected = row.versions[0].sha256
            raise OtherFileError(f"another file: SHA-256 {digest[:8]}..., not {expected[:8]}...")
        if row.pickled:
            from lipgan_cli.engine.weights.tensors import convert

            convert(temporary, temporary, row.file, digest)
    return version


def _store(blocks: Iterator[bytes], size: int, target: Path) -> str:
    """Write the blocks and return their SHA-256."""
    digest = hashlib.sha256()
    stored = 0
    with target.open("wb") as stream:
        for block in blocks:
            stored += len(block)
            if stored > size:
                raise OtherFileError(f"more than {size:,} bytes")
            digest.update(block)
            stream.write(block)
    if stored < size:
        raise OtherFileError(f"{stored:,} bytes, not {size:,}")
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def _unpacked(path: Path) -> Iterator[bytes]:
    unpacker = bz2.BZ2Decompressor()
    for block in _blocks(path):
        waiting = block
        while not unpacker.eof and (waiting or not unpacker.needs_input):
            try:
                # Bounded, so that a file of nothing but zeros cannot fill the memory.
                yield unpacker.decompress(waiting, max_length=BLOCK)
            except OSError:
                raise OtherFileError("a damaged .bz2 file") from None
            waiting = b""
        if unpacker.eof:
            return
    raise OtherFileError("an unfinished .bz2 file")
