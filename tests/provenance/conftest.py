"""Small films in every container, and certificates of strangers."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from lipgan_cli.engine.provenance.credentials import sign
from lipgan_cli.engine.provenance.identity import Identity, choose_identity
from lipgan_cli.engine.provenance.origin import Origin, Statement
from lipgan_cli.engine.provenance.tags import tags

STATEMENT = Statement("default", "11" * 32, "22" * 32, "33" * 32, "44" * 32, 0x0BADCAFE)
CODING = {
    ".mp4": ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-movflags", "+faststart"],
    ".mov": ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-movflags", "+faststart"],
    ".mkv": ["-c:v", "ffv1", "-c:a", "flac"],
    ".webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
}


def run_ffmpeg(*arguments: object) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(autouse=True)
def _no_certificate_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIPGAN_SIGN_CERT", "LIPGAN_SIGN_KEY", "LIPGAN_TRUST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A film of a second by its suffix, with sound and tag, not signed."""
    folder = tmp_path_factory.mktemp("films")
    made = {suffix: folder / f"film{suffix}" for suffix in CODING}
    told = [word for key, text in tags().items() for word in ("-metadata", f"{key}={text}")]
    for suffix, path in made.items():
        pictures = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=1"]
        sound = ["-f", "lavfi", "-i", "sine=frequency=300:duration=1"]
        run_ffmpeg(*pictures, *sound, "-pix_fmt", "yuv420p", *CODING[suffix], *told, path)
    return made


@pytest.fixture
def origin(films: dict[str, Path]) -> Origin:
    return Origin(STATEMENT, films[".mp4"], films[".mkv"])


@pytest.fixture
def signed(films: dict[str, Path], origin: Origin, tmp_path: Path) -> Callable[..., Path]:
    """Copy a film and sign it, by this machine's authority if by nobody else: `signed(".mp4")`."""

    def make(suffix: str, identity: Identity | None = None, name: str = "out") -> Path:
        final = tmp_path / f"{name}{suffix}"
        temporary = tmp_path / f".{name}.1234.part{suffix}"
        shutil.copy(films[suffix], temporary)
        sign(temporary, final, origin, identity or choose_identity())
        return temporary.replace(final)

    return make


@dataclass(frozen=True)
class Issued:
    """A certificate of a stranger's authority, in files."""

    authority: Path
    certificate: Path
    key: Path
    issuer: x509.Certificate
    leaf: x509.Certificate

    def identity(self) -> Identity:
        return choose_identity(self.certificate, self.key)


@pytest.fixture
def issue(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Issued]:
    """Make an authority and a certificate of it, valid from `begins` for `seconds`."""

    def make(
        begins: dt.timedelta = dt.timedelta(days=-1),
        seconds: float = 10 * 86400,
        usages: Sequence[ObjectIdentifier] = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
        key: object = None,
        ca: bool = False,
        name: str = "Anna",
    ) -> Issued:
        folder = tmp_path_factory.mktemp("issued")
        start = dt.datetime.now(dt.UTC) + begins
        end = start + dt.timedelta(seconds=seconds)
        root = ec.generate_private_key(ec.SECP256R1())
        issuer = _issue("Strangers", root, "Strangers", root, start, end, True)
        own = key or ec.generate_private_key(ec.SECP256R1())
        leaf = _issue(name, own, "Strangers", root, start, end, ca, usages)
        paths = folder / "authority.pem", folder / "leaf.pem", folder / "leaf.key"
        paths[0].write_bytes(issuer.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        paths[2].touch(mode=0o600)
        paths[2].write_bytes(private(own))
        return Issued(*paths, issuer, leaf)

    return make


def private(key, password: bytes | None = None) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    hidden = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(serialization.Encoding.PEM, kind, hidden)


@pytest.fixture
def write_private() -> Callable[..., bytes]:
    return private


def _issue(name, key, issuer, issuer_key, start, end, ca, usages=()):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    told = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | {"encipher_only": False, "decipher_only": False}
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(
            x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **told), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    return builder.sign(issuer_key, hashes.SHA256())
