"""Signing: what is written can be read, by the library alone too, and every change is found."""

from __future__ import annotations

import http.server
import io
import json
import shutil
import threading
from pathlib import Path

import av
import c2pa
import pytest
from PIL import Image

from lipgan_cli import __version__
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.provenance import library
from lipgan_cli.engine.provenance.authority import own_authority
from lipgan_cli.engine.provenance.credentials import sign
from lipgan_cli.engine.provenance.identity import choose_identity
from lipgan_cli.engine.provenance.origin import Origin
from lipgan_cli.engine.provenance.reading import Trust
from lipgan_cli.engine.provenance.verification import Verdict, verify

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
BESIDE = (".mkv", ".webm")


def as_the_library_sees_it(path: Path, anchors: str | None = None) -> tuple[str, dict]:
    """The state and the active manifest, by the library without any help of ours."""
    settings = {} if anchors is None else {"trust": {"user_anchors": anchors}}
    beside = path.with_suffix(".c2pa")
    manifest = beside.read_bytes() if beside.exists() else None
    with (
        c2pa.Context.from_dict(settings) as context,
        path.open("rb") as stream,
        c2pa.Reader("", stream, manifest_data=manifest, context=context) as reader,
    ):
        return reader.get_validation_state(), reader.get_active_manifest()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_signed_is_read_again(signed, origin, suffix):
    path = signed(suffix)
    found = verify(path)
    told = found.credentials
    assert (found.verdict, found.problem, told.problems) == (Verdict.OWN, None, ())
    assert (told.state, told.trust, told.changed) == ("Trusted", Trust.OWN, False)
    assert told.statement == origin.statement
    assert told.title == f"out{suffix}"
    assert told.tool == f"lipgan {__version__}"
    assert [(one.action, one.source_type) for one in told.actions] == [
        ("c2pa.opened", None),
        ("c2pa.placed", None),
        ("c2pa.edited", "compositeWithTrainedAlgorithmicMedia"),
    ]
    inputs = {one.title: (one.relationship, one.description) for one in told.ingredients}
    assert inputs == {
        "default": ("inputTo", f"SHA-256 {'11' * 32}"),
        "face": ("parentOf", f"SHA-256 {'22' * 32}"),
        "speech": ("componentOf", f"SHA-256 {'33' * 32}"),
    }
    assert told.signer.name.startswith("lipgan signer ")
    assert "not verified" in told.signer.organisation
    assert told.signer.issuer.startswith("lipgan authority ")
    assert told.signer.signed_at is None
    assert told.sidecar == (path.with_suffix(".c2pa") if suffix in BESIDE else None)
    assert found.tag.startswith("AI-generated")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_library_agrees(signed, suffix):
    path = signed(suffix)
    assert as_the_library_sees_it(path)[0] == "Valid"
    state, manifest = as_the_library_sees_it(path, own_authority())
    assert state == "Trusted"
    assert manifest["claim_version"] == 2
    assert all(one["created"] for one in manifest["assertions"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_else_lies_there(signed, tmp_path, suffix):
    signed(suffix)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"out{suffix}"} | ({"out.c2pa"} if suffix in BESIDE else set())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_picture_and_sound_stay_as_they_were(signed, films, suffix):
    def packets(path: Path) -> list:
        with av.open(str(path)) as film:
            return [
                (packet.stream_index, packet.pts, packet.dts, packet.duration, bytes(packet))
                for packet in film.demux()
            ]

    path = signed(suffix)
    assert packets(path) == packets(films[suffix])
    if suffix in BESIDE:
        assert path.read_bytes() == films[suffix].read_bytes()


def places_of_mdat(content: bytes) -> range:
    """Where a film's pictures and sounds lie."""
    at = 0
    while content[at + 4 : at + 8] != b"mdat":
        at += int.from_bytes(content[at : at + 4], "big")
    return range(at + 8, at + int.from_bytes(content[at : at + 4], "big"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_bit_of_a_picture_is_found(signed, suffix, where):
    path = signed(suffix)
    content = path.read_bytes()
    inside = places_of_mdat(content) if suffix not in BESIDE else range(200, len(content))
    flip(path, inside[round(where * (len(inside) - 1))])
    found = verify(path)
    assert found.verdict is Verdict.CHANGED
    assert found.credentials.problems == ("the content was changed after it was signed",)
    assert found.credentials.trust is Trust.UNKNOWN
    assert as_the_library_sees_it(path, own_authority())[0] == "Invalid"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_appended_or_cut_off_is_found(signed, suffix):
    path = signed(suffix)
    content = path.read_bytes()
    path.write_bytes(content + bytes(8) if suffix in BESIDE else content + b"\0\0\0\x08abcd")
    assert verify(path).verdict is Verdict.CHANGED
    path.write_bytes(content[:-1000])
    assert verify(path).verdict is Verdict.CHANGED


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_changed_statement_is_found(signed, suffix):
    path = signed(suffix)
    where = path.with_suffix(".c2pa") if suffix in BESIDE else path
    content = where.read_bytes()
    assert content.count(b"22" * 32) == 2  # in the ingredient, and in the statement
    where.write_bytes(content.replace(b"22" * 32, b"23" * 32))
    found = verify(path)
    assert found.verdict is Verdict.CHANGED
    assert "what the credentials say was changed after they were signed" in (
        found.credentials.problems
    )


def test_a_changed_tag_is_found(signed):
    path = signed(".mp4")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"AI-generated", b"AI-untouched"))
    assert verify(path).verdict is Verdict.CHANGED


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_copy_that_was_stripped_has_none(signed, tmp_path, suffix):
    import subprocess

    import imageio_ffmpeg

    path, stripped = signed(suffix), tmp_path / f"stripped{suffix}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-c", "copy", stripped]
    subprocess.run(command, check=True)
    found = verify(stripped)
    assert (found.verdict, found.credentials, found.problem) == (Verdict.NONE, None, None)
    assert found.tag is not None  # which such a copy keeps


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_large_film_is_hashed_in_pieces(signed, monkeypatch, suffix):
    monkeypatch.setattr(library, "LARGE_MIB", 0)
    monkeypatch.setattr(library, "PIECE_KIB", 1)
    path = signed(suffix)
    content = path.read_bytes()
    inside = places_of_mdat(content)
    assert len(inside) > 5 * 1024
    _, manifest = as_the_library_sees_it(path)
    (binding,) = [one for one in manifest["assertions"] if one["label"].startswith("c2pa.hash")]
    assert binding["data"]["merkle"][0]["fixedBlockSize"] == 1024
    assert verify(path).verdict is Verdict.OWN
    for place in (inside[0], inside[2000], inside[-1]):
        flip(path, place)
        assert verify(path).verdict is Verdict.CHANGED
        path.write_bytes(content)
    path.write_bytes(content + b"\0\0\0\x08abcd")
    assert verify(path).verdict is Verdict.CHANGED


def signed_with(films, tmp_path, face: Path, speech: Path, statement) -> Path:
    path = tmp_path / "made.mp4"
    shutil.copy(films[".mp4"], path)
    sign(path, path, Origin(statement, face, speech), choose_identity())
    return path


def test_credentials_of_the_inputs_are_taken_over(signed, films, tmp_path, origin):
    face = signed(".mp4", name="face")
    made = signed_with(films, tmp_path, face, films[".mkv"], origin.statement)
    found = verify(made)
    states = {one.title: one.credentials for one in found.credentials.ingredients}
    assert states == {"default": None, "face": "valid", "speech": None}
    assert found.verdict is Verdict.OWN
    flip(face, places_of_mdat(face.read_bytes())[50])
    made = signed_with(films, tmp_path, face, films[".mkv"], origin.statement)
    found = verify(made)
    assert {one.title: one.credentials for one in found.credentials.ingredients} == {
        **states,
        "face": "invalid",
    }
    assert found.verdict is Verdict.OWN  # the film itself is as it was signed


@pytest.mark.parametrize("content", [b"\0\0\0\x20ftypisom" + bytes(60), b"no film at all", b""])
def test_inputs_that_the_library_cannot_read_are_told_by_their_hash(
    films, tmp_path, origin, content
):
    odd = tmp_path / "odd.mp4"
    odd.write_bytes(content)
    found = verify(signed_with(films, tmp_path, odd, odd, origin.statement))
    assert found.verdict is Verdict.OWN
    assert [one.credentials for one in found.credentials.ingredients] == [None] * 3


def test_a_photo_is_a_face_too(films, tmp_path, origin):
    photo = tmp_path / "face.jpg"
    Image.new("RGB", (32, 32)).save(photo)
    found = verify(signed_with(films, tmp_path, photo, films[".webm"], origin.statement))
    assert found.verdict is Verdict.OWN


def test_no_name_of_an_input_or_a_folder_is_told(films, tmp_path, origin):
    folder = tmp_path / "private-folder"
    folder.mkdir()
    face, speech = folder / "private-face.mp4", folder / "private-speech.wav"
    shutil.copy(films[".mp4"], face)
    shutil.copy(films[".mkv"], speech)
    made = signed_with(films, tmp_path, face, speech, origin.statement)
    assert b"private-" not in made.read_bytes()
    assert b"made.mp4" in made.read_bytes()  # its own


def test_any_name_of_a_file_will_do(films, tmp_path, origin):
    for name in ("a [b] ü 嘴.mp4", "out\udcff.mkv"):
        path = tmp_path / name
        shutil.copy(films[path.suffix], path)
        sign(path, path, origin, choose_identity())
        assert verify(path).verdict is Verdict.OWN


def test_what_cannot_be_signed_stays_as_it_was(tmp_path, origin):
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"no film at all" * 100)
    with pytest.raises(LipganError, match="cannot be signed"):
        sign(path, path, origin, choose_identity())
    assert path.read_bytes() == b"no film at all" * 100
    assert list(tmp_path.iterdir()) == [path]


class Counting(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    Counting.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def elsewhere(films, tmp_path, address: str) -> Path:
    """A film whose credentials lie on a server."""
    path = tmp_path / "elsewhere.mp4"
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
    }
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]}
    with (
        choose_identity().signer() as signer,
        library.context() as context,
        c2pa.Builder(manifest, context) as builder,
        films[".mp4"].open("rb") as source,
        path.open("w+b") as made,
    ):
        builder.set_no_embed()
        builder.set_remote_url(f"{address}/credentials.c2pa")
        builder.sign(signer, "video/mp4", source, made)
    return path


def test_no_network_is_used(films, tmp_path, origin, server):
    path = elsewhere(films, tmp_path, server)
    found = verify(path)
    assert found.verdict is Verdict.INVALID
    assert found.problem == f"they lie at {server}/credentials.c2pa, and no network is used"
    signed_with(films, tmp_path, path, path, origin.statement)
    assert Counting.asked == []
    with pytest.raises(c2pa.C2paError), path.open("rb") as stream:
        c2pa.Reader("video/mp4", stream)  # which is what the library does if it may
    assert Counting.asked == ["/credentials.c2pa"]


def test_a_strangers_library_in_the_working_folder_is_not_loaded(tmp_path):
    import subprocess
    import sys

    code = (
        "import ctypes, json, sys\n"
        "loaded, load = [], ctypes.CDLL\n"
        "class Recording(load):\n"
        "    def __init__(self, name, *more, **told):\n"
        "        loaded.append(str(name))\n"
        "        super().__init__(name, *more, **told)\n"
        "ctypes.CDLL = Recording\n"
        "if sys.argv[1] == 'ours':\n"
        "    from lipgan_cli.engine.provenance import library\n"
        "    library.load()\n"
        "else:\n"
        "    import c2pa\n"
        "print(json.dumps([name for name in loaded if 'c2pa' in name]))\n"
    )
    for name in ("libc2pa_c.so", "libc2pa_c.dylib", "c2pa_c.dll"):
        (tmp_path / name).write_bytes(b"not ours")

    def loaded(whose: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", code, whose],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(run.stdout.splitlines()[-1])

    inside = str(Path(c2pa.__file__).parent)
    assert [Path(name).is_relative_to(inside) for name in loaded("ours")] == [True]
    assert not Path(loaded("the library's own way")[0]).is_relative_to(inside)


def test_the_sink_counts_as_a_file_does():
    from lipgan_cli.engine.provenance.credentials import _Nowhere

    sink, file = _Nowhere(), io.BytesIO()
    for call in (
        lambda f: f.write(b"abc"),
        lambda f: f.seek(1),
        lambda f: f.write(b"x"),
        lambda f: f.seek(0, io.SEEK_END),
        lambda f: f.seek(-1, io.SEEK_CUR),
        lambda f: f.tell(),
    ):
        assert call(sink) == call(file)
