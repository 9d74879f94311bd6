"""`lipgan download-weights`: fetching the weights that are not part of the install."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Force, Json, Quiet

if TYPE_CHECKING:
    from lipgan_cli.engine.weights import Installed


def download_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]", help="What to fetch; by default the recommended ones."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="Fetch nothing; list what there is and what is here.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fetch weights into the user's folder and verify them by size and SHA-256."""
    from lipgan_cli.engine import weights

    rows = [weights.named(name) for name in dict.fromkeys(names or ())]
    if show:
        listed = [weights.inspect(row) for row in rows or weights.REGISTRY]
        if json:
            console.print_json([_data(installed) for installed in listed])
        else:
            _print_list(listed)
        return
    progress = console.progress(quiet)
    fetched = []
    for row in rows or weights.recommended():
        installed = weights.download(row, progress, force)
        version = installed.version
        progress.note(f"{row.name}: verified by SHA-256 ({version.what if version else ''})")
        fetched.append(installed)
        if not json:
            console.print_result(installed.path)
    if json:
        console.print_json([_data(installed) for installed in fetched])


def _data(installed: Installed) -> dict[str, object]:
    row, version = installed.weights, installed.version
    return {
        "name": row.name,
        "purpose": row.purpose,
        "size": row.size,
        "licence": row.licence,
        "recommended": row.recommended,
        "state": installed.state,
        "path": installed.path,
        "sha256": version.sha256 if version else None,
        "version": version.what if version else None,
    }


def _print_list(listed: Sequence[Installed]) -> None:
    console.table(
        ("name", "state", "size", "licence", "purpose", "file"),
        [
            (
                installed.weights.name,
                installed.state,
                f"{installed.weights.size / 1e6:.1f} MB",
                installed.weights.licence,
                installed.weights.purpose,
                installed.path.name,
            )
            for installed in listed
        ],
    )
    console.print_result(f"in {listed[0].path.parent}")
