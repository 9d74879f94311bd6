"""`lipgan verify`: what it prints, and with which code it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import c2pa
import numpy as np
import pytest

from lipgan_cli import __version__
from lipgan_cli.engine.media.clock import constant
from lipgan_cli.engine.media.writer import Picture, VideoWriter
from lipgan_cli.engine.provenance import library
from lipgan_cli.engine.provenance.authority import own_authority, own_signer
from lipgan_cli.engine.provenance.certificates import name_of
from lipgan_cli.engine.provenance.credentials import sign
from lipgan_cli.engine.provenance.identity import choose_identity
from lipgan_cli.engine.provenance.origin import Origin, Statement

STATEMENT = Statement("my-anna", "11" * 32, "22" * 32, "33" * 32, "44" * 32)


@pytest.fixture(autouse=True)
def _no_trust_of_the_user(monkeypatch):
    monkeypatch.delenv("LIPGAN_TRUST", raising=False)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A film of ten frames without any mark."""
    path = tmp_path / "a [b] ü.mp4"
    with VideoWriter(path, Picture(64, 48, constant(Fraction(25), 10)), None) as writer:
        for number in range(10):
            writer.write(np.full((72, 64), 20 * number, np.uint8), number)
    return path


@pytest.fixture
def film(plain: Path) -> Path:
    """The same, signed by this machine."""
    sign(plain, plain, Origin(STATEMENT, plain, plain), choose_identity())
    return plain


def flip(path: Path) -> None:
    """Change one bit of a picture."""
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def test_what_this_machine_has_signed(lipgan, film):
    ran = lipgan("verify", film)
    assert (ran.code, ran.stderr) == (0, "")
    leaf = own_signer().certificate
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert ran.stdout == (
        "result       unchanged since it was signed; this machine's own authority vouches for the "
        "signer\n"
        "credentials  in the file\n"
        f"signed by    {name_of(leaf.subject)} (self-issued by lipgan, not verified)\n"
        f"certificate  of {name_of(leaf.issuer)}, until {leaf.not_valid_after_utc:%Y-%m-%d}\n"
        f"written by   lipgan {__version__}\n"
        "action       opened\n"
        "action       placed\n"
        f"action       edited by lipgan {__version__} on {today}: "
        "compositeWithTrainedAlgorithmicMedia\n"
        f"model        my-anna, SHA-256 {'11' * 32}\n"
        f"face         SHA-256 {'22' * 32}\n"
        f"speech       SHA-256 {'33' * 32}\n"
        f"consent      a document, SHA-256 {'44' * 32}\n"
        "tag          none\n"
        "sound mark   none\n"
    )


def test_as_json(lipgan, film):
    ran = lipgan("verify", film, "--json")
    assert (ran.code, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert (told["path"], told["verdict"], told["problem"]) == (str(film), "own", None)
    assert told["credentials"]["trust"] == "own"
    assert told["credentials"]["state"] == "Trusted"
    assert told["credentials"]["statement"] == {
        "model": "my-anna",
        "model_sha256": "11" * 32,
        "face_sha256": "22" * 32,
        "speech_sha256": "33" * 32,
        "consent_sha256": "44" * 32,
        "sound_mark": None,
    }


def test_what_was_changed(lipgan, film):
    flip(film)
    ran = lipgan("verify", film)
    assert (ran.code, ran.stderr) == (1, "")
    assert ran.stdout.startswith(
        "result       changed after it was signed\n"
        "because      the content was changed after it was signed\n"
    )
    assert json.loads(lipgan("verify", film, "--json").stdout)["verdict"] == "changed"


def test_what_has_no_credentials(lipgan, plain):
    expected = "result      no credentials\ntag         none\nsound mark  none\n"
    assert lipgan("verify", plain) == (1, expected, "")


@pytest.mark.parametrize("content", [b"hello", b""])
def test_what_cannot_be_read(lipgan, tmp_path, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    ran = lipgan("verify", path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert str(path) in ran.stderr


@pytest.mark.parametrize("way", ["option", "environment"])
def test_whom_the_user_trusts(lipgan, film, tmp_path, monkeypatch, way):
    authority = tmp_path / "them.pem"
    authority.write_text(own_authority())
    monkeypatch.setenv("LIPGAN_HOME", str(tmp_path / "elsewhere"))
    ran = lipgan("verify", film)
    assert ran.code == 1
    assert ran.stdout.startswith(
        "result       unchanged since it was signed, but by whom nobody that you trust can say\n"
    )
    assert ran.stderr.startswith("--trust PEM names the authorities")
    assert lipgan("verify", film, "--quiet").stderr == ""
    arguments = ["verify", film]
    if way == "option":
        arguments += ["--trust", authority]
    else:
        monkeypatch.setenv("LIPGAN_TRUST", str(authority))
    ran = lipgan(*arguments)
    assert (ran.code, ran.stderr) == (0, "")
    assert "an authority that you trust vouches for the signer" in ran.stdout


def test_a_trust_list_that_is_none(lipgan, film):
    ran = lipgan("verify", film, "--trust", film)
    assert (ran.code, ran.stdout) == (2, "")
    assert "holds no certificate in PEM" in ran.stderr


def test_what_strangers_write_is_shown_and_not_obeyed(lipgan, plain, tmp_path):
    path = tmp_path / "stranger.mp4"
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
    }
    manifest = {
        "title": "x\x1b[31m\nresult  unchanged",
        "claim_generator_info": [{"name": "tool\x1b[2J\nresult", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    with (
        choose_identity().signer() as signer,
        library.context() as context,
        c2pa.Builder(manifest, context) as builder,
        plain.open("rb") as source,
        path.open("w+b") as made,
    ):
        builder.sign(signer, "video/mp4", source, made)
    ran = lipgan("verify", path)
    assert ran.code == 0
    assert "\x1b" not in ran.stdout
    assert "written by   tool\\x1b[2J\\nresult 1\n" in ran.stdout
    assert sum(line.startswith("result") for line in ran.stdout.splitlines()) == 1
