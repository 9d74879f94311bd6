"""This machine's own certificate authority, made on first use, and the certificate it signs with.

It lies in the folder `identity` of the user's data: `authority.pem` and its key, and `signer.pem`,
a key with its certificate in one file, so that a change of both is one. Nobody but this machine
knows the authority: its signature shows that a film was not changed, and not who made it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import home
from lipgan_cli.engine.provenance import certificates
from lipgan_cli.engine.provenance.certificates import PrivateKey
from lipgan_cli.engine.provenance.library import EXTENDED_KEY_USAGES

ORGANISATION = "self-issued by lipgan, not verified"
"""What viewers show as the signer: no name of the user or of the machine."""

AUTHORITY_DAYS = 30 * 365
SIGNER_DAYS = 10 * 365
"""Renewed in its second half: without a time stamp, a film is valid as long as the certificate is,
and so for five years at least."""
EARLIER = timedelta(days=1)  # that certificates begin, for machines whose clock is behind

_AUTHORITY, _AUTHORITY_KEY, _SIGNER = "authority.pem", "authority.key", "signer.pem"


@dataclass(frozen=True, eq=False)
class Signer:
    """A certificate of the machine's authority and its key, and the file of both."""

    path: Path
    certificate: x509.Certificate
    key: PrivateKey


def folder() -> Path:
    """Where the authority lies."""
    return home() / "identity"


def own_signer() -> Signer:
    """Return what this machine signs with; makes or renews it where that is due.

    Of several processes that come first at once, all get the same authority.

    Raises:
        InputError: it cannot be made here, or what is there is damaged.
    """
    place = folder()
    try:
        if not place.exists() or not any(place.iterdir()):
            _found(place)
        signer = _read(place)
        if signer is None:
            signer = _renew(place)
        elif _is_due(signer.certificate):
            # A folder that may be read alone, or without the authority's key, is of use, too.
            with suppress(InputError, OSError, ValueError):
                signer = _renew(place)
        certificates.check_time(signer.certificate, str(signer.path))
    except PermissionError as error:
        raise InputError(
            f"the signing key in {place} belongs to somebody else: {error.strerror}",
            "set LIPGAN_HOME to a folder of your own, or give a certificate of your own",
        ) from error
    except (ValueError, TypeError, OSError) as error:
        raise _damage(place, str(error)) from error
    except InputError as error:
        if not place.exists():
            raise
        raise _damage(place, error.message) from error
    return signer


def own_authority() -> str | None:
    """Return the certificate of this machine's authority, PEM; None where there is none yet."""
    try:
        return certificates.pem(certificates.read_certificates(folder() / _AUTHORITY))
    except (InputError, OSError):
        return None


def _found(place: Path) -> None:
    """Make the authority whole in a folder beside, and let it appear at once."""
    made = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _issue_authority(key)
        _write(made / _AUTHORITY_KEY, certificates.key_pem(key))
        _write(made / _AUTHORITY, certificates.pem([authority]))
        _write(made / _SIGNER, _issue_signer(authority, key))
        try:
            made.rename(place)
        except OSError:
            if not (place / _AUTHORITY).is_file():
                raise
            # Another process was first.
    except OSError as error:
        raise InputError(
            f"cannot make a signing key in {place}: {error.strerror}",
            "set LIPGAN_HOME to a folder that can be written, or give a certificate of your own",
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _read(place: Path) -> Signer | None:
    path = place / _SIGNER
    if not path.is_file():
        return None
    return Signer(path, certificates.read_certificates(path)[0], certificates.read_key(path))


def _is_due(certificate: x509.Certificate) -> bool:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return datetime.now(UTC) > begins + (ends - begins) / 2


def _renew(place: Path) -> Signer:
    """Replace the signer's certificate and key by new ones of the same authority."""
    authority = certificates.read_certificates(place / _AUTHORITY)[0]
    key = certificates.read_key(place / _AUTHORITY_KEY)
    made = place / f".{_SIGNER}.{secrets.token_hex(4)}.part"
    try:
        _write(made, _issue_signer(authority, key))
        made.replace(place / _SIGNER)
    finally:
        made.unlink(missing_ok=True)
    signer = _read(place)
    assert signer is not None
    return signer


def _issue_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("authority")
    ends = datetime.now(UTC) + timedelta(days=AUTHORITY_DAYS)
    return (
        _begin(name, name, key, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .sign(key, SHA256())
    )


def _issue_signer(authority: x509.Certificate, issuer: PrivateKey) -> str:
    """Return a new key and its certificate, PEM (profile: C2PA 2.2, section 14.5.1)."""
    certificates.check_time(authority, _AUTHORITY)
    key = ec.generate_private_key(ec.SECP256R1())
    ends = datetime.now(UTC) + timedelta(days=SIGNER_DAYS)
    usages = [ObjectIdentifier(EXTENDED_KEY_USAGES[0]), ExtendedKeyUsageOID.EMAIL_PROTECTION]
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _begin(_name("signer"), authority.subject, key, min(ends, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(issuer, SHA256())
    )
    return certificates.key_pem(key) + certificates.pem([certificate])


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - EARLIER)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(what: str) -> x509.Name:
    common = f"lipgan {what} {secrets.token_hex(4)}"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(sign: bool) -> x509.KeyUsage:
    """Return what a key is for: signing films, or else certificates."""
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=not sign,
        crl_sign=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else can read, not even while it is written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def _damage(place: Path, what: str) -> InputError:
    return InputError(
        f"the signing key in {place} cannot be used: {what}",
        "move that folder away, and a new one is made; what was signed stays valid, "
        "but is no longer this machine's own",
    )
