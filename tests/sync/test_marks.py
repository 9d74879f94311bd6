"""The marks of a film: put in by `sync`, and found again by `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import read_audio, track_of
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.media.writer import MARKED_RATE
from lipgan_cli.engine.provenance import soundmark
from lipgan_cli.engine.provenance.verification import Verdict, Verification, verify
from lipgan_cli.engine.run.generators import BUILT_IN
from lipgan_cli.engine.sync import SyncOptions, sync
from lipgan_cli.engine.sync.marks import NOT_MARKED
from lipgan_cli.engine.sync.options import MarkOptions

SECONDS = 2.0
pytestmark = pytest.mark.usefixtures("network")


def verified(path: Path) -> Verification:
    return verify(path, listen=soundmark.find)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_every_container_has_all_marks(studio: Any, suffix: str) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(10)), studio.wav("speech.wav", SECONDS)
    consent = studio.folder / "consent [ü].txt"
    consent.write_text("yes")
    made = studio.sync(film, speech, f"out{suffix}", marks=MarkOptions(consent=consent))
    beside = studio.out("out.c2pa")
    assert made.credentials == (beside if suffix in (".mkv", ".webm") else None)
    assert beside.exists() == (made.credentials is not None)
    found = verified(made.output)
    assert (found.verdict, found.sound_fits) == (Verdict.OWN, True)
    assert found.tag is not None
    assert found.credentials is not None
    assert found.credentials.signer.name == made.signed_by
    stated = found.credentials.statement
    assert stated is not None
    assert stated.face_sha256 == content_hash(film)
    assert stated.speech_sha256 == content_hash(speech)
    assert stated.model_sha256 == content_hash(BUILT_IN)
    assert stated.consent_sha256 == content_hash(consent)
    assert found.sound is not None
    assert found.sound.identifier == stated.sound_mark
    whole = made.output.read_bytes() + (beside.read_bytes() if beside.exists() else b"")
    for private in (str(studio.folder), "face.mp4", "speech.wav", "consent ["):
        assert private.encode() not in whole


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_the_mark_lies_under_every_layout_and_under_the_recording_s_own_sound(
    studio: Any, layout: str, channels: int
) -> None:
    film = studio.film("face.mp4", studio.scenes(10), sound=studio.hum(0.4))
    studio.wav("mono.wav", SECONDS, studio.hum(SECONDS))
    speech = studio.folder / "speech.wav"
    filled = "|".join(f"c{channel}=c0" for channel in range(channels))
    filters = f"aresample=44100,pan={layout}|{filled}"
    studio.ffmpeg("-i", studio.folder / "mono.wav", "-af", filters, speech)
    made = studio.sync(film, speech, marks=MarkOptions(), keep_audio=20)
    assert track_of(made.output)[1] == channels
    found = soundmark.find(made.output)
    assert found is not None
    assert (found.first, found.last) == (
        pytest.approx(0, abs=0.7),
        pytest.approx(SECONDS, abs=0.7),
    )
    sound = read_audio(made.output, sample_rate=MARKED_RATE)
    assert len(sound) == pytest.approx(SECONDS * MARKED_RATE, abs=2048)


def test_silence_and_a_lossless_film_are_marked_too(studio: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(10))
    speech = studio.wav("speech.wav", SECONDS, np.zeros(round(SECONDS * studio.RATE)))
    made = studio.sync(film, speech, "out.mkv", codec="ffv1", marks=MarkOptions())
    assert verified(made.output).sound_fits
    level = np.sqrt(np.mean(read_audio(made.output, sample_rate=MARKED_RATE) ** 2))
    assert 20 * np.log10(level) == pytest.approx(soundmark.LEVEL, abs=1)


def test_without_provenance_there_is_no_mark_and_it_is_told(studio: Any) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(10)), studio.wav("speech.wav", SECONDS)
    notes: list[str] = []

    class Told:
        def note(self, message: str) -> None:
            notes.append(message)

        def __getattr__(self, name: str) -> Any:
            from lipgan_cli.engine.progress import Silent

            return getattr(Silent(), name)

    options = SyncOptions(film, speech, studio.out(), marks=MarkOptions(provenance=False))
    made = sync(options, Told())
    assert notes == [NOT_MARKED]
    assert (made.signed_by, made.credentials) == (None, None)
    found = verified(made.output)
    assert (found.verdict, found.credentials) == (Verdict.NONE, None)
    assert (found.tag, found.sound) == (None, None)


def test_a_label_is_drawn_into_every_frame_and_nowhere_else(studio: Any) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(10)), studio.wav("speech.wav", 0.4)
    frames = {}
    for label in (None, "de"):
        marks = MarkOptions(provenance=False, label=label, label_corner="top-left")
        made = studio.sync(film, speech, f"{label}.mkv", codec="ffv1", marks=marks)
        frames[label] = np.stack(list(read_frames(probe(made.output))))
    rows = frames["de"].shape[1] * 2 // 3
    changed = (frames["de"] != frames[None])[:, :rows]
    assert changed.any(axis=(1, 2)).all()
    where = np.argwhere(changed.any(axis=0))
    assert (where.max(axis=0) < np.array(changed.shape[1:]) // 2).all()


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"label": ""}, "the label is empty"),
        ({"label": "x", "label_size": 2.0}, "label of 2"),
        ({"consent": "none.pdf"}, "none.pdf does not exist"),
        ({"sign_cert": "none.pem", "sign_key": "none.pem"}, "none.pem does not exist"),
    ],
)
def test_what_cannot_be_marked_so_is_found_before_any_work(
    studio: Any, marks: dict[str, Any], told: str
) -> None:
    film, speech = studio.film("face.mp4", studio.scenes(3)), studio.wav("speech.wav", 0.4)
    with pytest.raises(InputError, match=told):
        studio.sync(film, speech, marks=MarkOptions(**marks))
    assert not studio.out().exists()
