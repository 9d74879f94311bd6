"""`lipgan cache`: what is kept to make the next run faster."""

from __future__ import annotations

from typing import Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Json, Quiet


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that is kept.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Show the cache of faces found in videos: its folder, entries, size and cap."""
    from lipgan_cli.engine.cache import open_cache

    kept = open_cache()
    if clear:
        before, removed = kept.usage(), kept.clear()
        console.progress(quiet).note(f"entries removed: {removed} ({_mib(before.size)})")
    usage = kept.usage()
    if json:
        console.print_json(usage)
        return
    rows = [
        ("folder", usage.folder),
        ("entries", usage.entries),
        ("size", _mib(usage.size)),
        ("cap", _mib(usage.cap) if usage.cap else "0: nothing is kept"),
    ]
    console.print_result("\n".join(f"{name:<10}{value}" for name, value in rows))


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
