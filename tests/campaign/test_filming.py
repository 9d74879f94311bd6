"""A message in pieces: shared ones painted once, and joins that nobody sees or hears."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.campaign import filming, stage
from lipgan_cli.engine.campaign.filming import REST_SECONDS, STEP_SECONDS, Filmed, film
from lipgan_cli.engine.campaign.messages import Message
from lipgan_cli.engine.campaign.options import CampaignOptions
from lipgan_cli.engine.campaign.quality import Evidence
from lipgan_cli.engine.campaign.speaking import RATE, Part
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.campaign.template import Phrase
from lipgan_cli.engine.campaign.voices import choose_voice
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.sync.options import MarkOptions, SyncOptions

HELLO, BODY, BYE = "Hello {},", "your parcel comes today", "see you, {}"
RATES = [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(32000, 1001), Fraction(5, 2)]


def message(*phrases: Phrase, audio: Path | None = None, **options: Any) -> Message:
    given: dict[str, Any] = {"start": None, "end": None, **options}
    return Message("m", 2, audio, phrases, output=Path("m.mp4"), values={}, **given)


def spoken(name: str) -> Message:
    """Return a message of three phrases, of which the middle one is shared."""
    return message(
        Phrase(HELLO.format(name), False), Phrase(BODY, True), Phrase(f"a {name}", False)
    )


def make(one: Message, on: Stage, output: Path) -> Filmed:
    return film(one, on, output, output)


def back_and_forth(length: int, count: int) -> list[int]:
    """Return 0 1 2 3 2 1 0 1 ..."""
    there = [*range(length), *range(length - 2, 0, -1)]
    return [there[k % len(there)] for k in range(count)]


# Where pieces are laid


@st.composite
def some_parts(draw: st.DrawFn) -> list[Part]:
    """Return parts of which one or more are shared."""
    lengths = draw(st.lists(st.integers(1, 60000), min_size=1, max_size=6))
    shared = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    shared[draw(st.integers(0, len(lengths) - 1))] = True
    return [
        Part(np.full(length, number + 1, np.float32), is_shared, f"key {number}")
        for number, (length, is_shared) in enumerate(zip(lengths, shared, strict=True))
    ]


@given(parts=some_parts(), fps=st.sampled_from(RATES))
def test_shared_pieces_begin_at_whole_steps_and_no_pause_grows_by_more_than_one(
    parts: list[Part], fps: Fraction
) -> None:
    lead, pieces = filming._laid(parts, fps)
    step = max(1, floor(STEP_SECONDS * fps))
    assert [piece.part for piece in pieces] == parts
    assert pieces[0].first == 0
    assert all(one.first + one.frames == other.first for one, other in pairwise(pieces))
    assert 0 <= lead < step
    grown = 0
    for number, piece in enumerate(pieces):
        needed = ceil(len(piece.part.samples) * fps / RATE)
        if piece.part.shared:
            assert (lead + piece.first) % step == 0
        before_another = any(later.part.shared for later in pieces[number + 1 : number + 2])
        begun = any(earlier.part.shared for earlier in pieces[: number + 1])
        assert 0 <= piece.frames - needed < (step if before_another and begun else 1)
        grown = max(grown, piece.frames - len(piece.part.samples) * fps / RATE)
    if fps >= 1 / STEP_SECONDS:
        assert grown / fps <= STEP_SECONDS


@given(parts=some_parts(), fps=st.sampled_from(RATES))
def test_every_phrase_is_heard_whole_from_where_its_frames_begin_on(
    parts: list[Part], fps: Fraction
) -> None:
    _, pieces = filming._laid(parts, fps)
    samples = filming._sounding(pieces, fps)
    end = pieces[-1].first + pieces[-1].frames
    assert len(samples) == pytest.approx(float(end * RATE / fps), abs=1)
    for number, piece in enumerate(pieces):
        here = np.flatnonzero(samples == number + 1)
        assert len(here) == len(piece.part.samples)
        assert here[0] == pytest.approx(float(piece.first * RATE / fps), abs=1)
        assert here[-1] - here[0] == len(here) - 1
    assert np.count_nonzero(samples) == sum(len(part.samples) for part in parts)


# Films in pieces


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)], ids=["25", "29.97"])
def test_a_message_in_pieces_has_exactly_the_frames_and_the_sound_of_its_phrases(
    studio: Any, fps: Fraction
) -> None:
    on = studio.stage(studio.recording(60, fps), codec="ffv1")
    output = studio.folder / "m.mkv"
    made = make(spoken("Anna"), on, output)
    parts = on.speaker.parts(spoken("Anna").phrases)
    lead, pieces = filming._laid(parts, fps)
    total = sum(piece.frames for piece in pieces)
    assert lead > 0
    assert made.frames == total > 60  # it goes back, too
    assert studio.numbers(output) == back_and_forth(60, lead + total)[lead:]
    info = probe(output)
    assert (info.fps, info.start) == (fps, 0.0)
    assert made.seconds == pytest.approx(float(total / fps))
    assert not made.warnings

    heard = read_audio(output, 0.0, sample_rate=RATE)
    assert len(heard) == pytest.approx(float(total / fps) * RATE, abs=2)
    gains = []
    for piece in pieces:
        first = floor(piece.first * RATE / fps)
        own, here = piece.part.samples, heard[first : first + len(piece.part.samples)]
        gains.append(float(here @ own / (own @ own)))
        np.testing.assert_allclose(here, gains[-1] * own, atol=1e-4)
        heard[first : first + len(own)] = 0
    assert np.ptp(gains) < 1e-4
    assert 0.9 < gains[0] < 1.5  # the pauses count in the loudness
    assert not heard.any()  # nothing else is to be heard
    assert made.quality.loudness_lufs == pytest.approx(-16, abs=0.1)


def steps_apart(names: Sequence[str], on: Stage) -> tuple[int, set[int]]:
    """Return how many frames are painted of these messages, and where shared pieces begin."""
    frames, places = 0, {}
    for name in names:
        assert on.speaker is not None
        lead, pieces = filming._laid(on.speaker.parts(spoken(name).phrases), Fraction(25))
        first, body, last = pieces
        frames += first.frames + last.frames
        places[lead + body.first] = body.frames
    return frames + sum(places.values()), set(places)


NAMES = ["Anna", "Bob", "Christopher", "Maximilian", "Bo"]


def test_a_shared_piece_is_painted_once_for_many_messages(studio: Any) -> None:
    on = studio.stage(studio.recording(), cache=False)
    frames, places = steps_apart(NAMES, on)
    with ThreadPoolExecutor(3) as pool:
        made = list(
            pool.map(lambda name: make(spoken(name), on, studio.folder / f"{name}.mp4"), NAMES)
        )
    assert len(studio.network.painted) == frames
    assert len(places) <= len(NAMES) / 2  # or the test shows nothing
    assert sum(each.frames for each in made) > 1.3 * frames
    assert studio.voice.said.count(BODY) == 1
    films = [studio.numbers(studio.folder / f"{name}.mp4") for name in NAMES]
    for name, shown in zip(NAMES, films, strict=True):
        lead, pieces = filming._laid(on.speaker.parts(spoken(name).phrases), Fraction(25))
        assert shown == back_and_forth(60, lead + pieces[-1].first + pieces[-1].frames)[lead:]


def test_the_next_run_has_the_shared_pieces_unless_something_is_different(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = studio.recording()

    def painted(name: str, **options: Any) -> int:
        """Return how many frames another run paints."""
        on = studio.stage(recording, **options)
        before = len(studio.network.painted)
        make(spoken(name), on, studio.folder / f"{name}.mp4")
        return len(studio.network.painted) - before

    on = studio.stage(recording)
    first, body, last = filming._laid(on.speaker.parts(spoken("Anna").phrases), Fraction(25))[1]
    whole, part = first.frames + body.frames + last.frames, first.frames + last.frames
    assert painted("Anna") == whole
    assert painted("Anna") == part
    assert painted("Anna", cache=False) == whole
    monkeypatch.setattr(filming, "encoder", lambda: "another")  # whose films cannot be joined
    assert painted("Anna") == whole


# Joins


def mouth(frame: Frame) -> np.ndarray:
    """Return where the mouth of the swaying head is."""
    return luma(frame)[90:150, 100:190].astype(int)


def below(frame: Frame) -> np.ndarray:
    """Return the picture without its number."""
    return luma(frame)[16:].astype(int)


def jumps(frames: Sequence[Frame], sources: Sequence[Frame], view: Any) -> np.ndarray:
    """Return by how much more frames differ from those before than their sources do, (n - 1,)."""
    return np.array(
        [
            np.abs((view(now) - view(before)) - (view(own) - view(earlier))).mean()
            for (before, now), (earlier, own) in zip(
                pairwise(frames), pairwise(sources), strict=True
            )
        ]
    )


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "ffv1"), (".mp4", None), (".webm", None)])
def test_nobody_sees_or_hears_a_join(studio: Any, suffix: str, codec: str | None) -> None:
    recording = studio.recording()
    options = {"codec": codec} if codec or suffix == ".mp4" else {"codec": "vp9"}
    on = studio.stage(recording, pause_seconds=0.8, **options)
    output = studio.folder / f"m{suffix}"
    make(spoken("Anna"), on, output)
    parts = on.speaker.parts(spoken("Anna").phrases)
    lead, pieces = filming._laid(parts, Fraction(25))
    joins = [piece.first for piece in pieces[1:]]
    frames, source = studio.frames(output), studio.frames(recording)
    sources = [source[place] for place in back_and_forth(60, lead + len(frames))[lead:]]

    sound = filming._sounding(pieces, Fraction(25))
    loud = np.abs(sound[: len(frames) * 1920].reshape(-1, 1920)).max(1) > 0
    near = np.convolve(loud, np.ones(9), "same") > 0  # within 0.16 s
    pauses = [k for k in range(1, len(frames)) if not near[k - 1 : k + 1].any()]
    others = [k for k in pauses if k not in joins]
    speech = np.flatnonzero(loud[1:] & loud[:-1]) + 1
    assert set(joins) <= set(pauses)
    assert len(others) >= 4

    for view in (mouth, below):
        jump = np.concatenate([[0.0], jumps(frames, sources, view)])
        assert max(jump[joins]) <= 1.05 * max(jump[others])
        if view is mouth:  # whose opening would be seen
            assert max(jump[speech]) > 1.5 * max(jump[joins])

    heard = np.abs(read_audio(output, 0.0, sample_rate=RATE))
    for k in joins:
        at = round(k * RATE / 25)
        assert heard[at - RATE // 5 : at + RATE // 5].max() < (1e-9 if codec else 2e-3)
    assert heard.max() > 0.1


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_nobody_sees_or_hears_a_join_of_a_real_recording(grid_dir: Path, tmp_path: Path) -> None:
    """With the network that is shipped, a voice, and whatever models are installed."""
    recording = min(grid_dir.glob("test/*/*"))
    marks = MarkOptions(provenance=False)
    given = SyncOptions(recording, "-", tmp_path, codec="ffv1", end=1.2, marks=marks)
    options = CampaignOptions(given, pause_seconds=0.7)
    on = open_stage(options, choose_voice(None), "a campaign", Silent())
    output = tmp_path / "m.mkv"
    one = message(Phrase("Hello Anna,", False), Phrase("your parcel comes", True))
    make(one, on, output)
    assert on.speaker is not None
    fps = on.presenter.footage.clock.fps
    lead, pieces = filming._laid(on.speaker.parts(one.phrases), fps)
    joins = [piece.first for piece in pieces[1:]]
    frames = list(read_frames(probe(output)))
    places = back_and_forth(on.presenter.footage.clock.frames, lead + len(frames))[lead:]
    x, y, side = on.presenter.found.film.squares[places[joins[0]]][:3].astype(int)
    lips = slice(y, y + side // 2), slice(x - side // 3, x + side // 3)

    sound = filming._sounding(pieces, fps)
    loud = np.abs(sound[: len(frames) * 1920].reshape(-1, 1920)).max(1) > 0
    near = np.convolve(loud, np.ones(9), "same") > 0
    pauses = [k for k in range(1, len(frames)) if not near[k - 1 : k + 1].any()]
    others = [k for k in pauses if k not in joins]
    assert set(joins) <= set(pauses)
    assert len(others) >= 10
    for part in (lips, (slice(None), slice(None))):
        views = [luma(frame)[part].astype(int) for frame in frames]
        jump = np.array([0.0, *(np.abs(now - then).mean() for then, now in pairwise(views))])
        assert max(jump[joins]) <= 1.05 * max(jump[others])
    heard = np.abs(read_audio(output, 0.0, sample_rate=RATE))
    for k in joins:
        at = k * 1920
        assert heard[at - RATE // 5 : at + RATE // 5].max() == 0
    assert heard.max() > 0.1


def test_pieces_are_as_if_the_message_had_been_filmed_whole(studio: Any) -> None:
    recording = studio.recording()
    on = studio.stage(recording, codec="ffv1")
    make(spoken("Anna"), on, studio.folder / "pieces.mkv")
    lead, pieces = filming._laid(on.speaker.parts(spoken("Anna").phrases), Fraction(25))
    sound = studio.folder / "sound.wav"
    soundfile.write(sound, filming._sounding(pieces, Fraction(25)), RATE, subtype="FLOAT")
    make(message(audio=sound, start=lead / 25), on, studio.folder / "whole.mkv")
    whole, pieced = (studio.frames(studio.folder / f"{name}.mkv") for name in ("whole", "pieces"))
    # The whole one turns 60 - lead frames after its beginning to there, the other to the very
    # beginning of the recording: they are compared up to where the first goes on forwards.
    turn = 2 * (60 - lead)
    joins = [piece.first for piece in pieces[1:] if piece.first < turn - 2]
    assert joins
    differ = [
        np.abs(one.astype(int) - other)
        for one, other in zip(whole[:turn], pieced[:turn], strict=False)
    ]
    for k in joins:
        assert max(each.max() for each in differ[k - 3 : k + 3]) <= 1
    # A phrase may be a little louder or softer than the message, and its mouth as much wider.
    assert np.mean(differ) < 0.1
    assert np.mean([each > 8 for each in differ]) < 0.003


@pytest.mark.parametrize(
    "options",
    [
        {"fit": "trim"},
        {"pause_seconds": 2 * REST_SECONDS - 0.02},
        {"av_offset_ms": 80.0},
        {"av_offset_ms": -80.0},
    ],
)
def test_pieces_that_would_not_meet_at_rest_are_filmed_in_one_go(
    studio: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    on = studio.stage(studio.recording(), **options)
    monkeypatch.setattr(filming, "join", None)
    one = message(Phrase("Hello Bo,", False), Phrase("it is here", True))
    made = make(one, on, studio.folder / "m.mp4")
    parts = on.speaker.parts(one.phrases)
    seconds = sum(len(part.samples) for part in parts) / RATE
    assert made.frames == floor(seconds * 25 + 0.5)
    assert studio.numbers(studio.folder / "m.mp4") == list(range(made.frames))


def test_a_recording_of_a_varying_rate_is_filmed_in_one_go(studio: Any) -> None:
    times = np.cumsum([0, *np.random.default_rng(3).integers(20, 90, 59)]).tolist()
    recording = studio.recording(60, times=times)
    on = studio.stage(recording)
    made = make(spoken("Bo"), on, studio.folder / "m.mp4")
    numbers = studio.numbers(studio.folder / "m.mp4")
    assert numbers == list(range(made.frames))
    info = probe(studio.folder / "m.mp4")
    assert not info.clock.constant
    shown = info.clock.seconds(np.arange(made.frames))
    np.testing.assert_allclose(shown * 1000, times[: made.frames], atol=1)


def test_a_small_offset_is_kept_in_pieces(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[int] = []
    own = filming.join
    monkeypatch.setattr(
        filming, "join", lambda films, *rest: (joined.append(len(films)), own(films, *rest))
    )
    on = studio.stage(studio.recording(), av_offset_ms=40.0)
    make(spoken("Anna"), on, studio.folder / "m.mp4")
    assert joined == [3]


# The recording


def test_a_message_begins_where_it_is_told_and_stays_within_its_part(studio: Any) -> None:
    on = studio.stage(studio.recording())
    one = message(audio=studio.hum("a.wav", 1.2), start=0.8, end=1.6)
    made = make(one, on, studio.folder / "m.mp4")
    assert made.frames == 30
    expected = [20 + k for k in back_and_forth(20, 30)]
    assert studio.numbers(studio.folder / "m.mp4") == expected
    assert studio.network.painted == expected


def test_a_loop_of_a_part_fades_from_its_end_to_its_beginning(studio: Any) -> None:
    on = studio.stage(studio.recording(), fit="loop", codec="ffv1")
    one = message(audio=studio.hum("a.wav", 1.6), start=0.8, end=1.6)
    make(one, on, studio.folder / "m.mkv")
    # 20 frames, of which the last 6 fade into the first: then 14 frames are one round.
    assert studio.network.painted[:14] == list(range(20, 34))
    assert set(studio.network.painted) == set(range(20, 40))
    shown = studio.numbers(studio.folder / "m.mkv")
    assert shown[:14] == list(range(20, 34))
    assert shown[20:28] == list(range(26, 34))


def clicking(*at: float, seconds: float = 2.4) -> np.ndarray:
    samples = np.zeros(round(seconds * RATE))
    for second in at:
        samples[round(second * RATE) :][:240] = 0.5
    return samples


def test_the_recording_s_own_sound_is_that_of_the_frames_shown(studio: Any) -> None:
    recording = studio.recording(sound=clicking(1.2), name="presenter.mkv")
    on = studio.stage(recording, keep_audio=0.0, codec="ffv1")
    quiet = studio.folder / "quiet.wav"
    soundfile.write(quiet, np.zeros(RATE, np.float32), RATE)
    make(message(audio=quiet, start=0.8), on, studio.folder / "m.mkv")
    heard = np.abs(read_audio(studio.folder / "m.mkv", 0.0))
    assert np.argmax(heard > heard.max() / 2) / 16000 == pytest.approx(0.4, abs=0.003)

    make(spoken("Anna"), on, studio.folder / "n.mkv")
    lead, pieces = filming._laid(on.speaker.parts(spoken("Anna").phrases), Fraction(25))
    plain = np.pad(filming._sounding(pieces, Fraction(25)), (0, RATE))
    heard = read_audio(studio.folder / "n.mkv", 0.0, sample_rate=RATE)
    under = np.abs(heard - plain[: len(heard)] * (heard.max() / heard.max()))
    quiet_now = np.abs(plain[: len(heard)]) == 0
    click = np.flatnonzero((under > 0.05) & quiet_now)
    assert len(click)
    assert click[0] / RATE == pytest.approx(1.2 - lead / 25, abs=0.003)


def test_frames_without_a_face_are_told_and_left_alone(studio: Any) -> None:
    on = studio.stage(studio.recording(face=lambda number: number < 20 or number >= 40))
    made = make(message(audio=studio.hum("a.wav", 1.2)), on, studio.folder / "m.mp4")
    (told,) = made.warnings
    assert told.endswith("no face from 0.80 s to 1.20 s, left as it is")
    assert made.quality.frames_without_face == 10
    with pytest.raises(InputError, match="no face in the part that is shown, the first at 0"):
        make(
            message(audio=studio.hum("b.wav", 0.4), start=1.0, end=1.4),
            on,
            studio.folder / "n.mp4",
        )


def test_a_part_that_is_not_there_is_refused(studio: Any) -> None:
    on = studio.stage(studio.recording())
    with pytest.raises(InputError, match="has no frame from 3 s to its end"):
        make(message(audio=studio.hum("a.wav"), start=3.0), on, studio.folder / "m.mp4")


def test_what_is_known_of_a_film_is_true(studio: Any) -> None:
    on = studio.stage(studio.recording(), codec="ffv1")
    made = make(spoken("Anna"), on, studio.folder / "m.mkv")
    _, (first, _, last) = filming._laid(on.speaker.parts(spoken("Anna").phrases), Fraction(25))
    own = first if first.frames > last.frames else last
    assert own.first <= made.moment < own.first + own.frames  # the face is a personal one's
    assert made.portrait is not None
    assert made.face is not None
    x, y, side = made.face
    assert 80 < x < 180
    assert 60 < y < 140
    assert 80 < side < 120
    assert made.quality.seam == pytest.approx(1, abs=0.1)
    assert made.quality.frames_without_face == 0


def test_a_stopped_campaign_films_nothing(studio: Any) -> None:
    on = studio.stage(studio.recording())
    on.stop()
    assert studio.voice.stopped
    with pytest.raises(LipganError, match="stopped"):
        make(spoken("Anna"), on, studio.folder / "m.mp4")
    assert not (studio.folder / "m.mp4").exists()


# What is made once


NOTHING = Evidence(np.zeros((0, 128), np.float32), np.zeros(0), 1, 0, 0.0, 0)


@pytest.fixture
def on(studio: Any) -> Stage:
    """A stage where nothing is painted."""
    nothing: dict[str, Any] = dict.fromkeys(("presenter", "speaker", "judge", "cache", "marks"))
    return Stage(**nothing, options=studio.options(Path("x")), identity="x")


def writing(path: Path, size: int = 10, seconds: float = 0.0) -> Evidence:
    time.sleep(seconds)
    path.write_bytes(b"f" * size)
    return replace(NOTHING, frames=size)


def test_while_one_makes_a_piece_others_wait_for_it(on: Stage, tmp_path: Path) -> None:
    made: list[Path] = []

    def ask(number: int) -> int:
        path = tmp_path / f"{number}.mp4"

        def work() -> Evidence:
            made.append(path)
            return writing(path, seconds=0.1)

        return on.once({"piece": number % 2}, path, work).frames

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [10] * 6
    assert len(made) == 2
    assert {(tmp_path / f"{number}.mp4").read_bytes() for number in range(6)} == {b"f" * 10}


def test_a_piece_that_failed_is_made_by_the_next_who_needs_it(on: Stage, tmp_path: Path) -> None:
    begun = threading.Event()

    def fail() -> Evidence:
        begun.set()
        time.sleep(0.1)
        raise LipganError("no")

    path = tmp_path / "a.mp4"
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(on.once, {"piece": 1}, path, fail)
        begun.wait()
        other = tmp_path / "b.mp4"
        working = pool.submit(on.once, {"piece": 1}, other, lambda: writing(other))
        with pytest.raises(LipganError):
            failing.result()
        assert working.result().frames == 10
    assert other.read_bytes() == b"f" * 10


def test_pieces_in_memory_are_bounded_and_the_last_used_stay(
    on: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PIECES_BYTES", 2500)
    made: list[int] = []

    def ask(number: int) -> None:
        path = tmp_path / "piece.mp4"

        def work() -> Evidence:
            made.append(number)
            return writing(path, 1000)

        on.once({"piece": number}, path, work)

    for number in (1, 2, 1, 3, 1, 2):  # the third lets go of 2, which was not used for longest
        ask(number)
    assert made == [1, 2, 3, 2]
