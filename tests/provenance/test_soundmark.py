"""The mark in the sound: inaudible by its place and level, found after a cut, never invented."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.provenance import soundmark
from lipgan_cli.engine.provenance.soundmark import (
    AMPLITUDE,
    BLOCK,
    LEVEL,
    OVERLAP,
    PERIOD,
    RATE,
    Samples,
    find,
    find_all,
    identifier_of,
    period,
    tones,
)

IDENTIFIER = 0xDEADBEEF


def marked(seconds: float, identifier: int = IDENTIFIER, begins: int = 0) -> Samples:
    """Return the mark alone, cut out at some sample of its period."""
    return np.resize(np.roll(period(identifier), -begins), round(seconds * RATE))


def noise(seconds: float, decibels: float, seed: int = 0) -> Samples:
    """Return white noise."""
    drawn = np.random.default_rng(seed).normal(0, 10 ** (decibels / 20), round(seconds * RATE))
    return drawn.astype(np.float32)


def write(path: Path, samples: Samples, codec: str, rate: int = RATE, bit_rate: int = 0) -> Path:
    """Write mono sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        form = "s16" if codec.startswith(("pcm", "flac")) else "fltp"
        values = samples if form == "fltp" else np.rint(samples * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values[None], form, "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_mark_made_today_is_the_one_that_is_looked_for_tomorrow() -> None:
    told = "".join(str(tone) for tone in tones(IDENTIFIER).tolist())
    assert told == "2131774276400340235060774143213161751015"
    assert identifier_of("a film") == 0xEB4D67FA


def test_pilots_and_data_alternate() -> None:
    assert tones(IDENTIFIER)[::5].tolist() == list(soundmark.PILOTS)
    assert (tones(IDENTIFIER)[::5] == tones(1)[::5]).all()
    assert (tones(IDENTIFIER) != tones(IDENTIFIER ^ 1)).any()


@pytest.mark.parametrize("identifier", [-1, 1 << 32])
def test_an_identifier_has_32_bits(identifier: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        tones(identifier)


@given(st.integers(0, (1 << 32) - 1))
@settings(max_examples=20)
def test_no_identifier_is_one_tone_for_long(identifier: int) -> None:
    same = np.diff(tones(identifier)) == 0
    runs = "".join("x" if one else " " for one in same.tolist()).split()
    assert max((len(run) for run in runs), default=0) <= 6


def test_the_level_is_what_is_stated() -> None:
    wave = period(IDENTIFIER).astype(np.float64)
    assert wave.shape == (PERIOD,) and PERIOD == 1.28 * RATE
    assert 10 * np.log10((wave**2).mean()) == pytest.approx(LEVEL, abs=0.01)
    assert np.abs(wave).max() == pytest.approx(AMPLITUDE, rel=1e-4)
    assert np.abs(period(IDENTIFIER, -40)).max() == pytest.approx(AMPLITUDE * 10**0.8, rel=1e-4)


def test_it_stays_in_its_band_and_has_no_seam() -> None:
    wave = np.tile(period(IDENTIFIER).astype(np.float64), 4)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    share = 10 * np.log10(power / power.sum() + 1e-30)

    def within(first: float, last: float) -> float:
        there = (hertz >= first) & (hertz < last)
        return float(10 * np.log10((10 ** (share[there] / 10)).sum()))

    assert within(17000, 17250) > -0.1
    assert within(0, 16500) < -100  # a click would be in all the spectrum
    assert within(16500, 16900) < -40
    assert within(17350, RATE / 2) < -40


@given(st.integers(0, (1 << 32) - 1), st.integers(0, PERIOD - 1))
@settings(max_examples=25)
def test_it_is_found_wherever_it_was_cut(identifier: int, begins: int) -> None:
    found = find(marked(1.35, identifier, begins) + noise(1.35, -60))
    assert found is not None and found.identifier == identifier
    assert found.speed == 1 and found.score > 0.6
    assert found.first == 0 and found.last == pytest.approx(1.35, abs=0.1)


@pytest.mark.parametrize("decibels", [-30, -12, 12])
def test_it_is_found_softer_and_louder(decibels: float) -> None:
    found = find(marked(2) * np.float32(10 ** (decibels / 20)))
    assert found is not None and found.identifier == IDENTIFIER


def test_it_is_found_in_noise_and_in_more_noise_the_longer_it_lasts() -> None:
    assert find(marked(1.5) + noise(1.5, -40)) is not None
    assert find(marked(1.5) + noise(1.5, -30)) is None
    found = find(marked(12) + noise(12, -33))
    assert found is not None and found.identifier == IDENTIFIER


def test_a_louder_whistle_does_not_hide_it() -> None:
    whistle = 2 * AMPLITUDE * np.sin(2 * np.pi * soundmark.TONES[3] * np.arange(6 * RATE) / RATE)
    found = find(marked(6) + whistle.astype(np.float32))
    assert found is not None and found.identifier == IDENTIFIER


@pytest.mark.parametrize("speed", [0.99, 0.9951, 1.01])
def test_it_is_found_at_another_speed(speed: float) -> None:
    played = soxr.resample(marked(6), RATE * speed, RATE, "VHQ")
    found = find(np.asarray(played, np.float32))
    assert found is not None and found.identifier == IDENTIFIER
    assert found.speed == pytest.approx(speed, abs=0.001)
    assert found.last == pytest.approx(6 / speed, abs=PERIOD / RATE)


def test_films_that_were_joined_are_told_apart() -> None:
    sound = np.concatenate([marked(5, 1), noise(4, -50), marked(9, 2)])
    longer, shorter = find_all(sound)
    assert (longer.identifier, shorter.identifier) == (2, 1)
    assert shorter.first < 0.7 and 3.7 < shorter.last < 6.3
    assert 8 < longer.first < 10.3 and longer.last > 17
    assert find(sound) == longer


def sounds_without() -> Iterator[tuple[str, Samples]]:
    """Yield sounds that have no mark."""
    seconds = np.arange(3 * RATE) / RATE
    yield "nothing", np.zeros(0, np.float32)
    yield "too little", marked(1.25)
    yield "silence", np.zeros(3 * RATE, np.float32)
    yield "noise", noise(3, -20)
    yield "rounding", np.sign(noise(3, 0)) / np.float32(32768)
    for tone in (17015.625, 17125.0):
        yield "a whistle", (0.003 * np.sin(2 * np.pi * tone * seconds)).astype(np.float32)
    hertz = 17125 + 125 * signal.sawtooth(2 * np.pi * 0.8 * seconds, 0.5)
    yield "a sweep", (0.003 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)).astype(np.float32)
    for seed in range(3):
        some = np.random.default_rng(seed).choice(soundmark.TONES, 94)
        phase = 2 * np.pi * np.cumsum(np.repeat(some, soundmark.SYMBOL)) / RATE
        yield "tones in another order", (0.003 * np.sin(phase)).astype(np.float32)


@pytest.mark.parametrize(
    ("what", "sound"), [pytest.param(*one, id=one[0]) for one in sounds_without()]
)
def test_none_is_found_where_there_is_none(what: str, sound: Samples) -> None:
    assert find_all(sound) == (), what


def test_a_mark_with_a_wrong_checksum_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(soundmark, "PREFIX", b"another program's mark")
        soundmark._scramble.cache_clear()
        theirs = marked(3)
    soundmark._scramble.cache_clear()
    assert find(theirs) is None
    assert find(marked(3)) is not None


@given(st.lists(st.integers(0, 2 * BLOCK), max_size=4))
@settings(max_examples=30)
def test_blocks_cover_everything_and_overlap(lengths: list[int]) -> None:
    total = sum(lengths)
    whole = np.arange(total, dtype=np.float32)
    pieces = np.split(whole, np.cumsum(lengths)[:-1]) if lengths else []
    blocks = list(soundmark._blocks(pieces))
    assert [begins for begins, _ in blocks] == [
        number * (BLOCK - OVERLAP) for number in range(len(blocks))
    ]
    for begins, block in blocks:
        assert len(block) <= BLOCK and (block == whole[begins : begins + len(block)]).all()
    ends = max((begins + len(block) for begins, block in blocks), default=0)
    assert ends == total


@pytest.mark.parametrize(
    ("name", "codec", "bit_rate"),
    [
        ("a [b].mp4", "aac", 64_000),
        ("a.webm", "libopus", 64_000),
        ("a.mp3", "libmp3lame", 128_000),
        ("a.wav", "pcm_s16le", 0),
    ],
)
def test_it_is_found_in_files(tmp_path: Path, name: str, codec: str, bit_rate: int) -> None:
    sound = marked(4) + signal.lfilter([0.02], [1, -0.98], noise(4, -20)).astype(np.float32)
    found = find(write(tmp_path / name, sound, codec, bit_rate=bit_rate))
    assert found is not None and found.identifier == IDENTIFIER


def test_it_is_found_at_44100_samples_a_second(tmp_path: Path) -> None:
    sound = np.asarray(soxr.resample(marked(3), RATE, 44100, "VHQ"), np.float32)
    found = find(write(tmp_path / "a.flac", sound, "flac", 44100))
    assert found is not None and found.identifier == IDENTIFIER


def test_sound_of_less_than_35_khz_cannot_have_one(tmp_path: Path) -> None:
    sound = np.asarray(soxr.resample(marked(3), RATE, 32000, "VHQ"), np.float32)
    assert find(write(tmp_path / "a.flac", sound, "flac", 32000)) is None


def test_a_film_without_sound_has_none(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = np.zeros((64, 64, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    assert find(path) is None


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("no sound")
    with pytest.raises(InputError, match="not audio or video"):
        find(text)
    with pytest.raises(InputError, match="does not exist"):
        find(tmp_path / "none.mp4")


def test_speech_keeps_its_mark_and_gets_none_by_itself(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "speech" / "jfk.flac"
    assert find(path) is None
    speech = np.concatenate(list(soundmark.read(path)))[: 5 * RATE]
    found = find(write(tmp_path / "a.mp4", speech + marked(5), "aac", bit_rate=64_000))
    assert found is not None and found.identifier == IDENTIFIER
