"""Who signs: a certificate of the user's, or this machine's own authority."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.provenance import certificates, library
from lipgan_cli.engine.provenance.authority import own_signer
from lipgan_cli.engine.provenance.certificates import PrivateKey

CERTIFICATE_VARIABLE = "LIPGAN_SIGN_CERT"
KEY_VARIABLE = "LIPGAN_SIGN_KEY"
WORTH = (
    "signed by this machine's own authority: it shows whether a video was changed, not who made it "
    "(--sign-cert and --sign-key take a certificate that others know)"
)


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, found to be able to sign."""

    name: str  # whom the certificate names
    own: bool  # whether it is that of this machine's own authority
    notes: tuple[str, ...]  # what the user should know of it
    algorithm: str  # by C2PA's name, es256 and so on
    chain: str = field(repr=False)  # PEM: the signer's, then the one that issued it, and so on
    key: str = field(repr=False, metadata={"json": False})  # PEM, PKCS 8

    def signer(self) -> Any:
        """Return what the C2PA library signs with: no time stamp, which would need the network."""
        c2pa = library.load()
        parts = self.algorithm, self.chain.encode(), self.key.encode(), None
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(*parts))


def choose_identity(certificate: Path | None = None, key: Path | None = None) -> Identity:
    """Return who signs: the given pair, else that of the environment, else this machine's own.

    Raises:
        InputError: only one of the two is given, they cannot sign or do not belong together, or
            nothing can be made on this machine.
        LipganError: the C2PA library cannot be loaded.
    """
    if certificate is None and key is None:
        certificate, key = _named(CERTIFICATE_VARIABLE), _named(KEY_VARIABLE)
    if certificate is None and key is None:
        own = own_signer()
        return _identity([own.certificate], own.key, (own.path, own.path), own=True)
    if certificate is None or key is None:
        missing = "certificate" if certificate is None else "key"
        raise InputError(
            f"the {missing} to sign with is not given",
            f"give --sign-cert and --sign-key, or {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}",
        )
    chain = certificates.read_certificates(certificate)
    private = certificates.read_key(key)
    certificates.check_pair(chain, private, (certificate, key))
    return _identity(chain, private, (certificate, key), own=False)


def _named(variable: str) -> Path | None:
    told = os.environ.get(variable)
    return Path(told).expanduser() if told else None


def _identity(
    chain: Sequence[x509.Certificate],
    key: PrivateKey,
    names: tuple[Path, Path],
    own: bool,
) -> Identity:
    notes = []
    if certificates.seen_by_others(names[1]):
        notes.append(f"other users of this machine can read the key {names[1]}: chmod 600 it")
    # The root is what others trust or do not; it does not belong into the signature.
    told = [chain[0], *(one for one in chain[1:] if not certificates.is_self_signed(one))]
    identity = Identity(
        name=certificates.name_of(chain[0].subject),
        own=own,
        notes=tuple(notes),
        algorithm=certificates.algorithm_of(key, names[1]),
        chain=certificates.pem(told),
        key=certificates.key_pem(key),
    )
    _try(identity, names[0])
    return identity


def _try(identity: Identity, certificate: Path) -> None:
    """Sign a few bytes, so that the library's own objections come before any work.

    Raises:
        InputError: the library does not take the certificate.
    """
    c2pa = library.load()
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
    }
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]}
    try:
        with (
            identity.signer() as signer,
            library.context() as context,
            c2pa.Builder(manifest, context) as builder,
        ):
            builder.set_no_embed()
            builder.sign(signer, "application/octet-stream", io.BytesIO(b"lipgan"), io.BytesIO())
    except c2pa.C2paError as error:
        if identity.own:
            raise LipganError(f"this machine's own authority cannot sign: {error}") from error
        raise InputError(
            f"the certificate in {certificate} cannot sign for C2PA: {error}",
            "it needs the key usage digitalSignature, an authority key identifier, and an extended "
            "key usage of C2PA claim signing, e-mail protection or document signing",
        ) from error
