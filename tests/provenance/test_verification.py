"""What a file's marks are worth: signers of all kinds, sidecars, files of other tools."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import c2pa
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.provenance import library, reading
from lipgan_cli.engine.provenance.authority import own_authority
from lipgan_cli.engine.provenance.reading import Trust
from lipgan_cli.engine.provenance.verification import Verdict, trust_list, verify

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True)
class Heard:
    identifier: int


def test_a_stranger_is_unknown_and_trusted_where_the_user_says_so(signed, issue):
    issued = issue()
    path = signed(".mp4", issued.identity())
    found = verify(path)
    assert (found.verdict, found.holds) == (Verdict.UNKNOWN_SIGNER, False)
    assert found.credentials.state == "Valid"
    assert found.credentials.signer.name == "Anna"
    assert found.credentials.signer.issuer == "Strangers"
    found = verify(path, trust_list(issued.authority))
    assert (found.verdict, found.holds) == (Verdict.TRUSTED, True)
    assert found.credentials.trust is Trust.LISTED
    other = trust_list(issue().authority)  # of the same name
    assert verify(path, other).verdict is Verdict.UNKNOWN_SIGNER


def test_what_the_machine_signs_is_its_own_whatever_else_is_trusted(signed, issue):
    path = signed(".mp4")
    assert verify(path, trust_list(issue().authority)).verdict is Verdict.OWN
    assert verify(path, own_authority()).verdict is Verdict.TRUSTED


def test_another_machine_does_not_know_this_one(signed, monkeypatch, tmp_path):
    path, authority = signed(".mp4"), tmp_path / "theirs.pem"
    authority.write_text(own_authority())
    monkeypatch.setenv("LIPGAN_HOME", str(tmp_path / "elsewhere"))
    assert verify(path).verdict is Verdict.UNKNOWN_SIGNER
    assert not (tmp_path / "elsewhere").exists()  # looking makes nothing
    assert verify(path, trust_list(authority)).verdict is Verdict.TRUSTED


def test_a_forger_with_the_same_name_is_unknown(signed, monkeypatch, tmp_path):
    path = signed(".mp4")
    own = verify(path).credentials.signer
    monkeypatch.setenv("LIPGAN_HOME", str(tmp_path / "forger"))
    forged = signed(".mp4", name="forged")
    monkeypatch.undo()
    assert verify(forged).credentials.signer.organisation == own.organisation
    assert verify(forged).verdict is Verdict.UNKNOWN_SIGNER


def test_a_certificate_that_has_expired_since(signed, issue):
    issued = issue(seconds=86400 + 3)  # from yesterday on
    path, anchors = signed(".mp4", issued.identity()), trust_list(issued.authority)
    assert verify(path, anchors).verdict is Verdict.TRUSTED
    left = issued.leaf.not_valid_after_utc - datetime.now(UTC)
    time.sleep(left.total_seconds() + 1.1)
    found = verify(path, anchors)
    assert found.verdict is Verdict.INVALID
    assert not found.credentials.changed
    (problem,) = found.credentials.problems
    assert problem.startswith("the certificate is not valid today")


def test_a_trust_list_needs_an_authority(issue, tmp_path):
    issued = issue()
    with pytest.raises(InputError, match="no certificate of an authority"):
        trust_list(issued.certificate)
    with pytest.raises(InputError, match="no certificate in PEM"):
        trust_list(issued.key)
    with pytest.raises(InputError, match="does not exist"):
        trust_list(tmp_path / "none.pem")
    both = tmp_path / "both.pem"
    both.write_bytes(issued.certificate.read_bytes() + issued.authority.read_bytes())
    assert trust_list(both) == issued.authority.read_text()


def test_a_film_without_any_mark(films, tmp_path):
    path = tmp_path / "plain.mp4"
    import av

    with av.open(str(films[".mp4"])) as source, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    found = verify(path)
    assert (found.verdict, found.credentials, found.tag) == (Verdict.NONE, None, None)


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"hello", "a.mp4"), (b"hello", "a.txt"), (bytes(5000), "a.mkv")],
)
def test_what_is_no_film_is_bad_input(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no film, picture or sound that can be read"):
        verify(path)


def test_what_is_not_there_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        verify(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="is a folder"):
        verify(tmp_path)


def test_a_sidecar_is_no_film(signed, tmp_path):
    signed(".mkv")
    with pytest.raises(InputError, match="holds credentials alone") as caught:
        verify(tmp_path / "out.c2pa")
    assert "the film that it belongs to" in caught.value.hint


def test_without_its_sidecar_a_film_has_none(signed, tmp_path):
    path = signed(".webm")
    (tmp_path / "out.c2pa").unlink()
    assert verify(path).verdict is Verdict.NONE


def test_a_sidecar_of_another_film(signed, tmp_path):
    first = signed(".mkv")
    signed(".webm")  # whose sidecar takes the place of the first's
    found = verify(first)
    assert found.verdict is Verdict.CHANGED
    (problem,) = found.credentials.problems
    assert problem.startswith("out.c2pa belongs to out.webm, or ")


@pytest.mark.parametrize("content", [b"", b"junk", bytes(1000)])
def test_a_damaged_sidecar(signed, tmp_path, content):
    path = signed(".mkv")
    (tmp_path / "out.c2pa").write_bytes(content)
    found = verify(path)
    assert (found.verdict, found.credentials) == (Verdict.INVALID, None)
    assert found.problem


def test_credentials_in_the_file_go_before_a_sidecar(signed, tmp_path):
    path = signed(".mp4")
    (tmp_path / "out.c2pa").write_bytes(b"junk")
    assert verify(path).verdict is Verdict.OWN


def test_a_film_under_another_suffix(signed):
    path = signed(".mp4")
    assert verify(path.rename(path.with_suffix(".jpg"))).verdict is Verdict.OWN


def test_a_film_under_a_suffix_that_can_hold_credentials(films, tmp_path):
    path = tmp_path / "matroska.mp4"
    shutil.copy(films[".mkv"], path)
    assert verify(path).verdict is Verdict.NONE


@pytest.mark.parametrize("version", [1, 2])
def test_a_picture_of_another_tool(issue, tmp_path, version):
    picture, path = io.BytesIO(), tmp_path / "picture.jpg"
    Image.new("RGB", (16, 16)).save(picture, "JPEG")
    agent = {1: "Painter 3.1", 2: {"name": "Painter", "version": "3.1"}}[version]
    action = {"action": "c2pa.created", "digitalSourceType": GENERATED, "softwareAgent": agent}
    label = {1: "c2pa.actions", 2: "c2pa.actions.v2"}[version]
    manifest = {
        "claim_version": version,
        "claim_generator_info": [{"name": "Painter", "version": "3.1"}],
        "assertions": [{"label": label, "data": {"actions": [action]}}],
    }
    issued = issue()
    with (
        issued.identity().signer() as signer,
        library.context() as context,
        c2pa.Builder(manifest, context) as builder,
        path.open("w+b") as made,
    ):
        builder.sign(signer, "image/jpeg", picture, made)
    found = verify(path, trust_list(issued.authority))
    assert (found.verdict, found.tag, found.sound) == (Verdict.TRUSTED, None, None)
    told = found.credentials
    assert (told.tool, told.statement) == ("Painter 3.1", None)
    (one,) = told.actions
    assert (one.action, one.source_type, one.tool) == (
        "c2pa.created",
        "trainedAlgorithmicMedia",
        "Painter 3.1",
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"assertions": [{"label": "c2pa.actions", "data": [1]}]},
        {"assertions": [{"label": "c2pa.actions", "data": {"actions": ["text"]}}]},
        {"assertions": 3},
        {"ingredients": ["text"]},
        {"claim_generator_info": {"name": 1}},
        {"signature_info": "text"},
    ],
)
def test_credentials_of_an_odd_form_are_told(signed, monkeypatch, odd):
    read = reading._read

    def odd_read(*arguments):
        report = read(*arguments)
        return replace(report, active={**report.active, **odd})

    path = signed(".mp4")
    monkeypatch.setattr(reading, "_read", odd_read)
    found = verify(path)
    assert (found.verdict, found.credentials) == (Verdict.INVALID, None)
    assert found.problem == "they are of a form that lipgan does not know"


@pytest.mark.parametrize(("heard", "fits"), [(0x0BADCAFE, True), (7, False)])
def test_the_mark_in_the_sound_is_held_against_the_credentials(signed, heard, fits):
    found = verify(signed(".mp4"), listen=lambda _: Heard(heard))
    assert (found.sound, found.sound_fits) == (Heard(heard), fits)


def test_a_mark_in_the_sound_alone(films, tmp_path):
    path = tmp_path / "film.mkv"
    shutil.copy(films[".mkv"], path)
    found = verify(path, listen=lambda _: Heard(7))
    assert (found.verdict, found.sound, found.sound_fits) == (Verdict.NONE, Heard(7), None)


def test_no_mark_is_sought_where_there_is_no_sound(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (16, 16)).save(path)
    asked = []
    assert verify(path, listen=asked.append).verdict is Verdict.NONE
    assert asked == []
