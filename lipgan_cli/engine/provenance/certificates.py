"""Certificates and keys in PEM files: reading them, and saying what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import require_file

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SHORTEST_RSA = 2048  # bits


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Read the certificates of a PEM file, in its order.

    Raises:
        InputError: there is none.
    """
    require_file(path, "the certificate file")
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{path} holds no certificate in PEM",
            "a certificate begins with -----BEGIN CERTIFICATE-----; "
            "openssl x509 -inform DER -in FILE -out FILE.pem converts a binary one",
        ) from error


def read_key(path: Path) -> PrivateKey:
    """Read a private key that can sign.

    Raises:
        InputError: there is none, it is encrypted, or of a kind that C2PA does not know.
    """
    require_file(path, "the key file")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except TypeError as error:
        raise InputError(
            f"the key in {path} is encrypted, and lipgan asks for no passphrase",
            "openssl pkey -in FILE -out KEY.pem writes it without one; chmod 600 KEY.pem",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{path} holds no private key in PEM",
            "a key begins with -----BEGIN PRIVATE KEY-----",
        ) from error
    if not isinstance(key, PrivateKey):
        raise InputError(f"{path} holds a key that cannot sign", _KINDS)
    algorithm_of(key, path)
    return key


_KINDS = "C2PA knows P-256, P-384, P-521, Ed25519, and RSA of 2048 bits or more"


def algorithm_of(key: PrivateKey, path: Path) -> str:
    """Return how a key signs, by C2PA's name: es256, ps256, ed25519 and so on.

    Raises:
        InputError: C2PA does not know such keys.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SHORTEST_RSA:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    kind = f"{key.key_size} bits" if isinstance(key, rsa.RSAPrivateKey) else type(key).__name__
    if isinstance(key, ec.EllipticCurvePrivateKey):
        kind = key.curve.name
    raise InputError(f"the key in {path} ({kind}) cannot sign for C2PA", _KINDS)


def check_pair(
    chain: Sequence[x509.Certificate], key: PrivateKey, names: tuple[Path, Path]
) -> None:
    """Check that a key is that of the first certificate, and that its chain holds today.

    names: the files of the certificates and of the key, for messages.

    Raises:
        InputError: it is not, or the certificate has expired, or is an authority's.
    """
    first, (certificates, key_file) = chain[0], names
    if _public(first.public_key()) != _public(key.public_key()):
        hint = "give the certificate and the key that were made together"
        if any(_public(one.public_key()) == _public(key.public_key()) for one in chain[1:]):
            hint = "put the signer's certificate first, then the one that issued it, and so on"
        raise InputError(f"{key_file} is not the key of the certificate in {certificates}", hint)
    if is_authority(first):
        raise InputError(
            f"the certificate in {certificates} is an authority's, which cannot sign a film",
            "issue a certificate for signing with it",
        )
    check_time(first, str(certificates))
    for issued, issuer in pairwise(chain):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            first_name, next_name = name_of(issued.subject), name_of(issuer.subject)
            raise InputError(
                f"{certificates}: {first_name} was not issued by {next_name}, which follows it",
                "put the signer's certificate first, then the one that issued it, and so on",
            ) from error


def check_time(certificate: x509.Certificate, where: str) -> None:
    """Check that a certificate is valid now.

    Raises:
        InputError: it has expired, or begins later.
    """
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        raise InputError(
            f"the certificate in {where} expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "give one that is valid",
        )
    if certificate.not_valid_before_utc > now:
        raise InputError(
            f"the certificate in {where} is valid from {certificate.not_valid_before_utc:%Y-%m-%d}"
            " on only",
            "give one that is valid, and check this machine's clock",
        )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may issue others."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def name_of(name: x509.Name) -> str:
    """Return what to call whom a certificate names."""
    for part in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        found = name.get_attributes_for_oid(part)
        if found:
            return str(found[0].value)
    return name.rfc4514_string()


def pem(certificates: Sequence[x509.Certificate]) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in certificates)


def key_pem(key: PrivateKey) -> str:
    """Return a key as PKCS 8, the one form that the C2PA library takes."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def seen_by_others(path: Path) -> bool:
    """Whether other users of this machine may read a file; never known on Windows."""
    return os.name != "nt" and bool(path.stat().st_mode & 0o077)


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
