"""Reading the Content Credentials (C2PA) of any file, whichever tool has written them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.provenance import library
from lipgan_cli.engine.provenance.origin import LABEL, Statement, read_statement


class Trust(StrEnum):
    """Who vouches for the signer."""

    LISTED = "listed"
    """An authority that the user has named."""
    OWN = "own"
    """This machine's own authority."""
    UNKNOWN = "unknown"
    """Nobody that is known here."""


@dataclass(frozen=True)
class Signer:
    """What a certificate says of who signed; whether it is true depends on the trust."""

    name: str
    organisation: str
    issuer: str
    valid_from: str  # ISO 8601
    valid_until: str
    signed_at: str | None  # by a time stamp


@dataclass(frozen=True)
class Action:
    """A step of the making."""

    action: str  # c2pa.edited and so on
    source_type: str | None  # the last part of IPTC's term
    tool: str | None
    when: str | None  # by the tool's own clock


@dataclass(frozen=True)
class Ingredient:
    """Something that the file was made from."""

    title: str
    relationship: str  # parentOf, componentOf or inputTo
    description: str | None
    credentials: str | None  # "valid" or "invalid" where it had some of its own


@dataclass(frozen=True)
class Credentials:
    """What credentials say, and what they are worth."""

    sidecar: Path | None  # None: they are in the file itself
    title: str  # what the file was called when it was signed
    state: str  # by the C2PA library: Trusted, Valid or Invalid
    trust: Trust
    changed: bool  # whether the file, or the credentials themselves, were changed since
    problems: tuple[str, ...]  # in words: what makes the state invalid
    signer: Signer
    tool: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]
    statement: Statement | None  # of a film of lipgan


class UnreadableError(LipganError):
    """Credentials are there, or may be, but cannot be read."""

    def __init__(self, message: str, elsewhere: bool = False) -> None:
        super().__init__(message)
        self.elsewhere = elsewhere  # the file names a place in the network


class UnknownFormatError(LipganError):
    """The library knows no such files; there may be credentials beside it."""


CHANGED = "the content was changed after it was signed"
PROBLEMS = {
    "assertion.dataHash.mismatch": CHANGED,
    "assertion.bmffHash.mismatch": CHANGED,
    "assertion.boxesHash.mismatch": CHANGED,
    "assertion.hashedURI.mismatch": "what the credentials say was changed after they were signed",
    "assertion.missing": "a part of the credentials is missing",
    "claimSignature.mismatch": "the signature does not fit what it signs",
    "claimSignature.missing": "there is no signature",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "signingCredential.expired": "the certificate is not valid today, and no time stamp shows that "
    "it was when it signed",
    "signingCredential.invalid": "the certificate is not one for signing",
    "signingCredential.ocsp.revoked": "the certificate was revoked",
}
"""The library's codes that are met most, in words."""

_UNTRUSTED = "signingCredential.untrusted"
_CHANGES = re.compile(r"\.(mismatch|missing)$")
_REMOTE = re.compile(r"^Remote\w*: .*?(https?://\S+)")


def read_credentials(
    path: Path, sidecar: Path | None, listed: str | None, own: str | None
) -> Credentials | None:
    """Read the credentials of a file, from a sidecar where one is given; None: it has none.

    listed, own: certificates of the authorities that the user names, and of this machine's, PEM.

    Raises:
        UnreadableError: there are some, but not here, or damaged beyond reading; or the file is.
        UnknownFormatError: the library knows no such files, and there is no sidecar.
    """
    manifest = None if sidecar is None else sidecar.read_bytes()
    if manifest == b"":
        raise UnreadableError(f"{sidecar} is empty")
    # Whom the user names goes first; who is told apart by asking for one after the other.
    asked = [(Trust.LISTED, listed), (Trust.OWN, own)]
    known = [(trust, anchors) for trust, anchors in asked if anchors]
    credentials = None
    for trust, anchors in known or [(Trust.UNKNOWN, "")]:
        report = _report(path, manifest, anchors)
        if report is None:
            return None
        try:
            credentials = _credentials(path, sidecar, report, trust)
        except (AttributeError, LookupError, TypeError) as error:  # a stranger's odd data
            raise UnreadableError("they are of a form that lipgan does not know") from error
        if credentials.state == "Trusted":
            break
    return credentials


@dataclass(frozen=True)
class _Report:
    """What the library tells of a file, in the terms of its JSON."""

    active: Mapping[str, Any]  # the manifest that is valid now, after all earlier ones
    failures: Sequence[Mapping[str, Any]]  # of its validation
    state: str
    certificate: Mapping[str, Any]


def _report(path: Path, manifest: bytes | None, anchors: str) -> _Report | None:
    """Have the library read and validate a file, by its suffix or else by its content."""
    c2pa = library.load()
    suffix = path.suffix.lower().lstrip(".")
    if suffix in c2pa.Reader.get_supported_mime_types():
        try:
            return _read(path, suffix, manifest, anchors)
        except c2pa.C2paError.ManifestNotFound:
            return None
        except c2pa.C2paError:
            pass  # perhaps it is something else than its suffix says
    try:
        return _read(path, "", manifest, anchors)
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError.NotSupported as error:
        raise UnknownFormatError(f"{path}: C2PA knows no such files") from error
    except c2pa.C2paError as error:
        remote = _REMOTE.match(str(error))
        if remote is not None:
            raise UnreadableError(
                f"they lie at {remote[1]}, and no network is used", True
            ) from error
        raise UnreadableError(str(error)) from error


def _read(path: Path, kind: str, manifest: bytes | None, anchors: str) -> _Report:
    with (
        path.open("rb", buffering=0) as stream,
        library.context(anchors) as context,
        library.load().Reader(kind, stream, manifest_data=manifest, context=context) as reader,
    ):
        store = json.loads(reader.json())
        label = store.get("active_manifest")
        return _Report(
            active=store["manifests"].get(label, {}),
            failures=(reader.get_validation_results() or {})
            .get("activeManifest", {})
            .get("failure", []),
            state=reader.get_validation_state() or "Invalid",
            certificate=_certificate(json.loads(reader.crjson()), label),
        )


def _certificate(report: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return what the library's other report tells of the certificate of a manifest."""
    for manifest in report.get("manifests", []):
        if manifest.get("label") == label:
            told: Mapping[str, Any] = manifest.get("signature", {}).get("certificateInfo", {})
            return told
    return {}


def _credentials(path: Path, sidecar: Path | None, report: _Report, trust: Trust) -> Credentials:
    active = report.active
    failures = [(str(one.get("code")), one.get("explanation")) for one in report.failures]
    serious = [(code, told) for code, told in failures if code != _UNTRUSTED]
    problems = [PROBLEMS.get(code, f"{told} ({code})") for code, told in serious]
    title = str(active.get("title") or "")
    if sidecar is not None and title != path.name:
        other = f"{sidecar.name} belongs to {title}, or {CHANGED}"
        problems = [other if problem == CHANGED else problem for problem in problems]
    assertions = active.get("assertions", [])
    stated = [one.get("data") for one in assertions if one.get("label") == LABEL]
    return Credentials(
        sidecar=sidecar,
        title=title,
        state=report.state,
        trust=trust if report.state == "Trusted" else Trust.UNKNOWN,
        changed=any(_CHANGES.search(code) for code, _ in serious),
        problems=tuple(dict.fromkeys(problems)),
        signer=_signer(active.get("signature_info") or {}, report.certificate),
        tool=_tool(active),
        actions=tuple(_actions(assertions)),
        ingredients=tuple(_ingredient(one) for one in active.get("ingredients", [])),
        statement=read_statement(stated[0]) if stated else None,
    )


def _signer(told: Mapping[str, Any], certificate: Mapping[str, Any]) -> Signer:
    issuer, validity = certificate.get("issuer", {}), certificate.get("validity", {})
    return Signer(
        name=str(told.get("common_name") or told.get("issuer") or ""),
        organisation=str(told.get("issuer") or ""),
        issuer=str(issuer.get("CN") or issuer.get("O") or ""),
        valid_from=str(validity.get("notBefore", "")),
        valid_until=str(validity.get("notAfter", "")),
        signed_at=told.get("time"),
    )


def _tool(active: Mapping[str, Any]) -> str:
    """Return the tool that wrote credentials of claim version 2, or of 1."""
    told = active.get("claim_generator_info") or [{}]
    return _agent(told[0]) or str(active.get("claim_generator") or "")


def _agent(told: object) -> str | None:
    if isinstance(told, str):
        return told
    if not isinstance(told, Mapping) or not told.get("name"):
        return None
    return f"{told['name']} {told.get('version') or ''}".strip()


def _actions(assertions: Sequence[Mapping[str, Any]]) -> Iterator[Action]:
    for assertion in assertions:
        if not str(assertion.get("label", "")).startswith("c2pa.actions"):
            continue
        for one in assertion.get("data", {}).get("actions", []):
            term = one.get("digitalSourceType")
            yield Action(
                action=str(one.get("action", "")),
                source_type=None if term is None else str(term).rsplit("/", 1)[-1],
                tool=_agent(one.get("softwareAgent")),
                when=one.get("when"),
            )


def _ingredient(told: Mapping[str, Any]) -> Ingredient:
    state = None
    if told.get("active_manifest"):
        results = told.get("validation_results") or {}
        failures = results.get("activeManifest", {}).get("failure", [])
        serious = [one for one in failures if one.get("code") != _UNTRUSTED]
        state = "invalid" if serious else "valid"
    return Ingredient(
        title=str(told.get("title") or ""),
        relationship=str(told.get("relationship") or ""),
        description=told.get("description"),
        credentials=state,
    )
