"""The machine's own authority: made once, kept secret, renewed in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.provenance import authority, certificates
from lipgan_cli.engine.provenance.authority import own_authority, own_signer
from lipgan_cli.engine.provenance.library import EXTENDED_KEY_USAGES


def issuer() -> x509.Certificate:
    return x509.load_pem_x509_certificate(own_authority().encode())


def test_nothing_is_made_by_looking(home):
    assert own_authority() is None
    assert not (home / "identity").exists()


def test_the_first_use_makes_it_and_the_second_finds_it(home):
    first, second = own_signer(), own_signer()
    assert first.certificate == second.certificate
    first.certificate.verify_directly_issued_by(issuer())
    names = sorted(path.name for path in (home / "identity").iterdir())
    assert names == ["authority.key", "authority.pem", "signer.pem"]
    assert [path.name for path in home.iterdir()] == ["identity"]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such permissions")
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_nobody_else_can_read_it(home, mask):
    before = os.umask(mask)
    try:
        own_signer()
    finally:
        os.umask(before)
    folder = home / "identity"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_profile_is_that_of_c2pa():
    leaf, root = own_signer().certificate, issuer()
    told = {extension.oid: extension for extension in leaf.extensions}
    assert leaf.version is root.version is x509.Version.v3
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [one.dotted_string for one in purposes] == list(EXTENDED_KEY_USAGES[:2])
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is True
    of_root = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    of_leaf = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert of_leaf.key_identifier == of_root.digest
    assert len(told) == 5
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.public_key().curve.name == "secp256r1"


def test_it_names_neither_user_nor_machine():
    told = own_signer().certificate.subject.rfc4514_string().lower()
    assert authority.ORGANISATION.split(",")[0] in told
    for name in {socket.gethostname().lower(), getuser().lower()} - {"lipgan", ""}:
        assert name not in told


def test_what_is_signed_today_stays_valid_for_five_years():
    own_signer()
    ends = own_signer().certificate.not_valid_after_utc
    assert ends - datetime.now(UTC) > timedelta(days=5 * 365)
    assert issuer().not_valid_after_utc > ends


def old_signer(monkeypatch: pytest.MonkeyPatch) -> authority.Signer:
    """One in the second half of its time."""
    with monkeypatch.context() as patch:
        patch.setattr(authority, "EARLIER", timedelta(days=20))
        patch.setattr(authority, "SIGNER_DAYS", 10)
        return own_signer()


def test_it_is_renewed_in_its_second_half(monkeypatch, home):
    old, root = old_signer(monkeypatch), issuer()
    new = own_signer()
    assert new.certificate != old.certificate
    assert new.certificate.public_key() != old.certificate.public_key()
    assert issuer() == root
    new.certificate.verify_directly_issued_by(root)
    assert own_signer().certificate == new.certificate
    assert len(list((home / "identity").iterdir())) == 3
    assert new.path.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_it_serves_to_its_end_where_it_cannot_be_renewed(monkeypatch, home):
    old = old_signer(monkeypatch)
    (home / "identity" / "authority.key").unlink()
    assert own_signer().certificate == old.certificate


def test_a_signer_never_outlives_the_authority(monkeypatch):
    monkeypatch.setattr(authority, "AUTHORITY_DAYS", 30)
    assert own_signer().certificate.not_valid_after_utc == issuer().not_valid_after_utc


def test_a_lost_signer_is_issued_anew(home):
    own_signer()
    root = issuer()
    (home / "identity" / "signer.pem").unlink()
    own_signer().certificate.verify_directly_issued_by(root)
    assert issuer() == root


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_one_is_told_and_left_alone(home, content):
    path = own_signer().path
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be used") as caught:
        own_signer()
    assert "move that folder away" in caught.value.hint
    assert path.read_bytes() == content


def test_that_of_another_user_is_told(monkeypatch, home):
    own_signer()

    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(InputError, match="belongs to somebody else") as caught:
        own_signer()
    assert "LIPGAN_HOME" in caught.value.hint


def test_an_expired_one_is_told(monkeypatch, home):
    with monkeypatch.context() as patch:
        patch.setattr(authority, "EARLIER", timedelta(days=20))
        patch.setattr(authority, "SIGNER_DAYS", -1)
        with pytest.raises(InputError, match="expired on"):
            own_signer()


def test_what_breaks_off_leaves_nothing(monkeypatch, home):
    def fail(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(authority, "_issue_signer", fail)
    with pytest.raises(KeyboardInterrupt):
        own_signer()
    assert list(home.iterdir()) == []


def test_where_nothing_can_be_written_is_bad_input(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIPGAN_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InputError, match="cannot make a signing key") as caught:
        own_signer()
    assert "LIPGAN_HOME" in caught.value.hint


def test_who_comes_second_takes_what_the_first_made(monkeypatch, home):
    """Another process makes its authority while this one is at it."""
    issue, others = authority._issue_signer, []

    def interrupted(*arguments):
        if not others:
            others.append(None)
            others[0] = own_signer().certificate
        return issue(*arguments)

    monkeypatch.setattr(authority, "_issue_signer", interrupted)
    assert own_signer().certificate == others[0]
    assert [path.name for path in home.iterdir()] == ["identity"]


def test_processes_that_come_at_once_get_one_authority(home, tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from lipgan_cli.engine.provenance.authority import own_authority, own_signer\n"
        "Path(sys.argv[1]).touch()\n"
        "while not Path(sys.argv[2]).exists(): time.sleep(0.001)\n"
        "own_signer()\n"
        "print(own_authority())\n"
    )
    ready = [tmp_path / f"ready{number}" for number in range(4)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(tmp_path / "go")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for path in ready
    ]
    while not all(path.exists() for path in ready):
        assert all(run.poll() is None for run in runs)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    told = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    assert told == {own_authority().strip()}
    assert [path.name for path in home.iterdir()] == ["identity"]


def test_the_files_are_plain_pem(home):
    own_signer()
    folder: Path = home / "identity"
    assert certificates.is_authority(certificates.read_certificates(folder / "authority.pem")[0])
    assert "PRIVATE" not in (folder / "authority.pem").read_text()  # it may be given away
