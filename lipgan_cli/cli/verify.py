"""`lipgan verify`: what a video says of its origin, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Json, Quiet

if TYPE_CHECKING:
    from lipgan_cli.engine.provenance.reading import Credentials
    from lipgan_cli.engine.provenance.verification import Verification

RESULTS = {
    "trusted": "unchanged since it was signed; an authority that you trust vouches for the signer",
    "own": "unchanged since it was signed; this machine's own authority vouches for the signer",
    "unknown signer": "unchanged since it was signed, but by whom nobody that you trust can say",
    "changed": "changed after it was signed",
    "invalid": "the credentials do not hold, or cannot be read",
    "no credentials": "no credentials",
}
HINT = "--trust PEM names the authorities that you trust; what they vouch for is then told"


def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A video, a picture or a sound, of any tool.")
    ],
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            metavar="PEM",
            envvar="LIPGAN_TRUST",
            show_envvar=False,
            help="Certificates of the authorities that you trust; by default LIPGAN_TRUST's.",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tell how FILE is marked, who signed it, and whether it was changed since.

    Exits with 0 if it is unchanged and signed by an authority that you trust or by this machine's
    own, with 1 if it is not, and with 2 if it cannot be read. Uses no network.
    """
    from lipgan_cli.engine.provenance import verification
    from lipgan_cli.engine.provenance.soundmark import find

    anchors = None if trust is None else verification.trust_list(trust)
    found = verification.verify(file, anchors, find)
    if json:
        console.print_json(found)
    else:
        rows = [(name, console.one_line(text)) for name, text in _rows(found) if text]
        width = max(len(name) for name, _ in rows) + 2
        console.print_result("\n".join(f"{name:<{width}}{text}" for name, text in rows))
        if found.verdict == "unknown signer" and not quiet:
            console.print_note(HINT)
    if not found.holds:
        raise typer.Exit(1)


def _rows(found: Verification) -> Iterator[tuple[str, str]]:
    yield "result", RESULTS[found.verdict]
    if found.problem is not None:
        yield "because", found.problem
    if found.credentials is not None:
        yield from _of_credentials(found.credentials, found.path)
    yield "tag", found.tag or "none"
    if found.sound is None:
        stated = None if found.credentials is None else found.credentials.statement
        named = stated is not None and stated.sound_mark is not None
        yield "sound mark", "none, though the credentials name one" if named else "none"
        return
    fits = {True: ", as the credentials say", False: ", not that of the credentials", None: ""}
    sound = found.sound
    yield (
        "sound mark",
        f"{sound.identifier:08x}, {sound.first:.1f} to {sound.last:.1f} s{fits[found.sound_fits]}",
    )


def _of_credentials(told: Credentials, path: Path) -> Iterator[tuple[str, str]]:
    for problem in told.problems:
        yield "because", problem
    where = "in the file" if told.sidecar is None else f"beside it, in {told.sidecar.name}"
    yield "credentials", where + (f", of {told.title}" if told.title not in ("", path.name) else "")
    signer = told.signer
    by = f" ({signer.organisation})" if signer.organisation not in ("", signer.name) else ""
    yield "signed by", f"{signer.name or 'nobody named'}{by}"
    if signer.issuer:
        yield "certificate", f"of {signer.issuer}, until {signer.valid_until[:10]}"
    yield "signed at", signer.signed_at or ""
    yield "written by", told.tool
    for action in told.actions:
        made = f": {action.source_type}" if action.source_type else ""
        when = f" on {action.when[:10]}" if action.when else ""
        tool = f" by {action.tool}" if action.tool else ""
        yield "action", f"{action.action.removeprefix('c2pa.')}{tool}{when}{made}"
    yield from _of_inputs(told)


def _of_inputs(told: Credentials) -> Iterator[tuple[str, str]]:
    """Tell what a file was made from: by its hashes where lipgan made it."""
    stated = told.statement
    if stated is None:
        for one in told.ingredients:
            kind = _RELATIONSHIPS.get(one.relationship, one.relationship)
            yield "made from", f"{one.title} ({kind}){_own(one.credentials)}"
        return
    own = {one.title: _own(one.credentials) for one in told.ingredients}
    yield "model", f"{stated.model}, SHA-256 {stated.model_sha256}"
    yield "face", f"SHA-256 {stated.face_sha256}{own.get('face', '')}"
    yield "speech", f"SHA-256 {stated.speech_sha256}{own.get('speech', '')}"
    if stated.consent_sha256 is not None:
        yield "consent", f"a document, SHA-256 {stated.consent_sha256}"


def _own(credentials: str | None) -> str:
    return "" if credentials is None else f", with {credentials} credentials of its own"


_RELATIONSHIPS = {
    "parentOf": "what was changed",
    "componentOf": "a part",
    "inputTo": "what made it",
}
