"""Speech: the mel against an independent computation, the timing function, and reading files."""

from __future__ import annotations

import math
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import audio
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows, read_audio

RATE = 16000


def noise(samples: int, seed: int = 1) -> np.ndarray:
    """Return numbers in [-0.5, 0.5) that no release of a library can change."""
    out = []
    for _ in range(samples):
        seed = (1103515245 * seed + 12345) % 2**31
        out.append(seed / 2**31 - 0.5)
    return np.array(out, np.float32)


def click(seconds: float, at: float, rate: int = RATE) -> np.ndarray:
    """Return silence with a 10 ms tone burst that begins at `at` seconds."""
    sound = np.zeros(round(seconds * rate), np.float32)
    first, length = round(at * rate), round(0.01 * rate)
    sound[first : first + length] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(length) / rate)
    return sound


def onset(sound: np.ndarray) -> float:
    """Return the seconds at which a burst begins."""
    loud = np.abs(sound) > 0.3 * np.abs(sound).max()
    return float(np.argmax(loud)) / RATE


def write_wav(path: Path, channels: np.ndarray, rate: int, width: int = 2) -> Path:
    """Write float channels (c, n) as PCM."""
    values = channels.T.reshape(-1)
    if width == 1:
        data = (values * 127 + 128).astype(np.uint8)
    else:
        data = (values * (2 ** (8 * width - 1) - 1)).astype(f"<i{width}")
    with wave.open(str(path), "wb") as out:
        out.setparams((len(channels), width, rate, 0, "NONE", ""))
        out.writeframes(data.tobytes())
    return path


def write_sound(
    path: Path,
    channels: np.ndarray,
    rate: int,
    codec: str,
    layout: str = "mono",
    offset: float = 0.0,
    lost: slice | None = None,
    jump: float = 0.0,
) -> Path:
    """Encode float channels (c, n) as a file with a clock of its own.

    The clock starts at `offset` seconds and jumps on by `jump` in the middle; the `lost` samples
    are never written.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        step = 1024
        for first in range(0, channels.shape[1], step):
            if lost is not None and lost.start <= first < lost.stop:
                continue
            block = channels[:, first : first + step]
            if codec.startswith("pcm") or codec == "flac":
                packed = (block.T.reshape(1, -1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(packed, "s16", layout)
            else:
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", layout)
            frame.sample_rate = rate
            frame.time_base = Fraction(1, rate)
            frame.pts = first + round(offset * rate)
            if first >= channels.shape[1] // 2:
                frame.pts += round(jump * rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# The mel, written once more from the formulas of the design: no FFT, no library.


def slaney_hertz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def slaney_mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def expected_column(sound: np.ndarray, column: int) -> list[float]:
    """Return one mel column of a sound by the definition."""
    emphasised = [
        float(sound[i]) - 0.97 * float(sound[i - 1]) if i else float(sound[0])
        for i in range(len(sound))
    ]
    windowed = []
    for n in range(800):
        place = 200 * column - 400 + n
        value = emphasised[place] if 0 <= place < len(emphasised) else 0.0
        windowed.append(value * math.sin(math.pi * n / 800) ** 2)
    x = np.array(windowed)
    turns = np.arange(800) / 800
    magnitude = [
        math.hypot(
            float(x @ np.cos(2 * np.pi * k * turns)), float(x @ np.sin(2 * np.pi * k * turns))
        )
        for k in range(401)
    ]
    low, high = slaney_mel(55), slaney_mel(7600)
    edges = [slaney_hertz(low + (high - low) * i / 81) for i in range(82)]
    out = []
    for band in range(80):
        left, middle, right = edges[band : band + 3]
        total = 0.0
        for k, value in enumerate(magnitude):
            hertz = 20.0 * k
            rise, fall = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
            total += max(0.0, min(rise, fall)) * 2 / (right - left) * value
        decibels = 20 * math.log10(max(1e-5, total)) - 20
        out.append(min(4.0, max(-4.0, 8 * (decibels + 100) / 100 - 4)))
    return out


@pytest.mark.parametrize("column", [0, 1, 2, 7, 12, 13])
def test_mel_is_what_the_formulas_say(column: int) -> None:
    sound = noise(2600) * np.linspace(0, 1, 2600, dtype=np.float32)
    sound += 0.3 * np.sin(2 * np.pi * 440 * np.arange(2600, dtype=np.float32) / RATE)
    mel = mel_spectrogram(sound)
    assert mel.shape == (80, 14)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel[:, column], expected_column(sound, column), atol=2e-5)


# By the independent computation above, rounded: a guard against both changing together.
GOLDEN = {  # (band, column): value
    (0, 0): -1.48461,
    (20, 0): 0.41949,
    (40, 0): 0.89805,
    (79, 0): 1.60689,
    (0, 3): -1.00649,
    (20, 3): 0.32464,
    (40, 3): 1.35291,
    (79, 3): 1.83553,
    (0, 8): -0.61283,
    (20, 8): 0.16399,
    (40, 8): 0.4256,
    (79, 8): 1.71772,
}


def test_mel_keeps_its_golden_values() -> None:
    mel = mel_spectrogram(noise(1600))
    for (band, column), value in GOLDEN.items():
        assert mel[band, column] == pytest.approx(value, abs=1e-4), (band, column)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    mel = mel_spectrogram(tone)
    low, high = slaney_mel(55), slaney_mel(7600)
    band = round((slaney_mel(1000) - low) / (high - low) * 81) - 1
    assert mel[:, 40].argmax() == band


@pytest.mark.parametrize("samples", [0, 1, 199, 200, 399, 400, 16000])
def test_silence_is_minus_four_in_one_column_per_200_samples(samples: int) -> None:
    mel = mel_spectrogram(np.zeros(samples, np.float32))
    assert mel.shape == (80, 1 + samples // 200)
    assert (mel == -4).all()


@pytest.mark.parametrize("block", [1, 3, 64])
def test_mel_in_blocks_is_the_mel_of_the_whole(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(9001)
    whole = mel_spectrogram(sound)
    monkeypatch.setattr(audio, "BLOCK", block)
    np.testing.assert_allclose(mel_spectrogram(sound), whole, atol=1e-6)


def test_window_is_centred_on_its_time() -> None:
    mel = np.tile(np.arange(200, dtype=np.float32), (80, 1))
    windows = mel_windows(mel, np.array([1.0, 0.04]))
    assert windows.shape == (2, 80, 27)
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(windows[0, 0], np.arange(67, 94))  # 80 - 13 ... 80 + 13
    np.testing.assert_array_equal(windows[1, 5], [-4] * 10 + list(range(17)))  # round(3.2) = 3


@given(
    columns=st.integers(1, 120),
    times=st.lists(st.floats(-2, 4, allow_nan=False), max_size=5),
)
def test_windows_follow_the_formula_anywhere(columns: int, times: list[float]) -> None:
    mel = np.tile(np.arange(columns, dtype=np.float32), (80, 1))
    windows = mel_windows(mel, np.array(times))
    assert windows.shape == (len(times), 80, 27)
    for window, time in zip(windows, times, strict=True):
        first = math.floor(80 * time + 0.5) - 13
        for place in range(27):
            inside = 0 <= first + place < columns
            assert (window[:, place] == (first + place if inside else -4)).all()


@given(frame=st.integers(0, 5000), fps=st.sampled_from([24, 25, 30, 50, 60, 30000 / 1001]))
def test_windows_shift_with_the_sound(frame: int, fps: float) -> None:
    """A sound that comes one second later is seen by a frame one second later."""
    here = mel_windows(np.zeros((80, 1), np.float32), np.array([frame / fps]))
    index = np.argwhere(here[0, 0] == 0)
    late = np.full((80, 81), -4, np.float32)
    late[:, 80] = 0
    there = mel_windows(late, np.array([frame / fps + 1]))
    np.testing.assert_array_equal(np.argwhere(there[0, 0] == 0), index)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_every_rate_keeps_time_and_level(tmp_path: Path, rate: int) -> None:
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    read = read_audio(write_wav(tmp_path / "a.wav", sound[None], rate))
    assert read.dtype == np.float32
    assert len(read) == pytest.approx(RATE, abs=2)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(read)) / RATE)
    np.testing.assert_allclose(read[200:-200], expected[200:-200], atol=2e-3)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_sample_formats_have_the_same_scale(tmp_path: Path, width: int) -> None:
    read = read_audio(write_wav(tmp_path / "a.wav", np.full((1, 4000), 0.5), RATE, width))
    assert read[1000:3000] == pytest.approx(0.5, abs=0.01)


def test_channels_are_averaged(tmp_path: Path) -> None:
    both = np.stack([np.full(4000, 0.5), np.full(4000, -0.25)])
    read = read_audio(write_wav(tmp_path / "a.wav", both, RATE))
    assert read[1000:3000] == pytest.approx(0.125, abs=1e-3)


def test_six_channels_are_averaged(tmp_path: Path) -> None:
    six = np.zeros((6, 6144))
    six[2] = 0.6
    read = read_audio(write_sound(tmp_path / "a.mkv", six, 48000, "flac", "5.1"))
    assert len(read) == 2048
    assert read[500:1500] == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "origin"),
    [("a.m4a", "aac", 0.0), ("a.mkv", "flac", 0.0), ("a.mp3", "libmp3lame", None)],
)
def test_codec_delay_is_no_delay(
    tmp_path: Path, name: str, codec: str, origin: float | None
) -> None:
    sound = click(1.0, at=0.4, rate=44100)[None]
    read = read_audio(write_sound(tmp_path / name, sound, 44100, codec), origin)
    assert onset(read) == pytest.approx(0.4, abs=0.002)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.mkv", "flac")])
def test_what_a_coder_fills_up_is_no_sound(tmp_path: Path, name: str, codec: str) -> None:
    sound = click(1.0, at=0.4, rate=44100)[None]  # 44,100 samples are 43 packets and 68 samples
    read = read_audio(write_sound(tmp_path / name, sound, 44100, codec))
    assert len(read) == pytest.approx(RATE, abs=32)


@pytest.mark.parametrize("origin", [None, 0.0, 0.5, 0.6, 2.0, -1.0])
def test_origin_places_the_first_sample(tmp_path: Path, origin: float | None) -> None:
    sound = click(1.0, at=0.25)[None]
    path = write_sound(tmp_path / "a.mkv", sound, RATE, "flac", offset=0.5)
    read = read_audio(path, origin)
    shift = 0.5 if origin is None else origin
    assert len(read) == pytest.approx(max(0, round((1.5 - shift) * RATE)), abs=32)
    if shift < 0.7:
        assert onset(read) == pytest.approx(0.75 - shift, abs=0.002)


def test_lost_packets_leave_silence_and_shift_nothing(tmp_path: Path) -> None:
    sound = click(2.0, at=1.5)[None]
    path = write_sound(
        tmp_path / "a.mkv", sound, RATE, "pcm_s16le", lost=slice(4 * 1024, 12 * 1024)
    )
    read = read_audio(path)
    assert len(read) == pytest.approx(2 * RATE, abs=32)
    assert onset(read) == pytest.approx(1.5, abs=0.002)


def test_reading_can_stop_early(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", click(3.0, at=0.5)[None], RATE, "pcm_s16le")
    read = read_audio(path, origin=0.0, seconds=1.0)
    assert RATE <= len(read) <= 1.2 * RATE
    assert np.array_equal(read, read_audio(path, origin=0.0)[: len(read)])


@pytest.mark.parametrize("origin", [None, 0.0])
@pytest.mark.parametrize("jump", [0.0, 3600.0])
def test_a_clock_that_jumps_far_is_another_clock(
    tmp_path: Path, jump: float, origin: float | None
) -> None:
    sound = click(2.0, at=1.5)[None]
    path = write_sound(tmp_path / "a.mkv", sound, RATE, "pcm_s16le", jump=jump)
    read = read_audio(path, origin)
    assert len(read) == pytest.approx(2 * RATE, abs=32)
    assert onset(read) == pytest.approx(1.5, abs=0.002)


def test_not_a_number_does_not_spread(tmp_path: Path) -> None:
    sound = np.full((1, 4096), 0.5, np.float32)
    sound[0, 1000] = np.nan
    path = tmp_path / "a.wav"
    header = b"RIFF" + (36 + sound.nbytes).to_bytes(4, "little") + b"WAVEfmt "
    fields = (16, 4), (3, 2), (1, 2), (RATE, 4), (4 * RATE, 4), (4, 2), (32, 2)
    header += b"".join(value.to_bytes(size, "little") for value, size in fields)
    path.write_bytes(header + b"data" + sound.nbytes.to_bytes(4, "little") + sound.tobytes())
    assert np.isfinite(read_audio(path)).all()


def test_names_may_be_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.wav", "-v [x] %d.wav", "ü 語.wav"):
        write_wav(tmp_path / name, np.zeros((1, 800)), RATE)
        assert len(read_audio(Path(name))) == 800


def test_bad_files_are_named_with_the_reason(tmp_path: Path) -> None:
    empty, text, folder = tmp_path / "empty.wav", tmp_path / "text.mp3", tmp_path / "folder"
    empty.touch()
    text.write_text("not a sound\n" * 100)
    folder.mkdir()
    header_only = write_wav(tmp_path / "header.wav", np.zeros((1, 0)), RATE)
    for path in (empty, text, folder, header_only, tmp_path / "missing.wav"):
        with pytest.raises(InputError) as raised:
            read_audio(path)
        assert str(path) in raised.value.message
        assert raised.value.hint


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame(32, 32, "yuv420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="no audio track"):
        read_audio(path)


@pytest.mark.parametrize(("native", "wanted"), [(22050, 48000), (48000, 48000), (48000, 8000)])
def test_another_rate_can_be_asked_for(tmp_path: Path, native: int, wanted: int) -> None:
    path = write_wav(tmp_path / "a.wav", click(1.0, 0.25, native)[None], native)
    whole = read_audio(path, sample_rate=wanted)
    assert len(whole) == wanted
    assert np.argmax(np.abs(whole) > 0.3) == pytest.approx(0.25 * wanted, abs=0.001 * wanted)
    later = read_audio(path, origin=-0.5, sample_rate=wanted)
    assert np.array_equal(later, np.concatenate([np.zeros(wanted // 2, np.float32), whole]))


def test_the_bands_are_those_of_librosa() -> None:
    from librosa.filters import mel

    wanted = mel(
        sr=RATE, n_fft=800, n_mels=80, fmin=55.0, fmax=7600.0, htk=False, norm="slaney",
        dtype=np.float64,
    )  # fmt: skip
    np.testing.assert_allclose(audio._bands(), wanted, atol=1e-15)
