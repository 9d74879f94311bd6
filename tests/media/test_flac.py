"""Sound in files of our own comes back as it was, to 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.flac import quantised, read_flac, write_flac


@given(st.lists(st.floats(-2.2, 2.2), max_size=40))
def test_sixteen_bits(values):
    samples = np.array(values, np.float32)
    kept = quantised(samples)
    assert kept.dtype == np.float32
    assert np.array_equal(quantised(kept), kept)
    np.testing.assert_allclose(kept, samples.clip(-2, 2), atol=1.01 / 16384)


@pytest.mark.parametrize("length", [1, 4095, 70_000])
def test_what_is_written_is_read(tmp_path: Path, length: int) -> None:
    samples = np.random.default_rng(2).uniform(-2.1, 2.1, length).astype(np.float32)
    write_flac(tmp_path / "a b.flac", samples)
    read = read_flac(tmp_path / "a b.flac")
    assert np.array_equal(read, quantised(samples))
    assert np.array_equal(read_audio(tmp_path / "a b.flac"), read / 2)


def test_no_sound_is_one_silent_sample(tmp_path: Path) -> None:
    write_flac(tmp_path / "a.flac", np.zeros(0, np.float32))
    assert read_flac(tmp_path / "a.flac").tolist() == [0.0]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.flac").write_text("no sound")
    write_flac(tmp_path / "cut.flac", np.zeros(9000, np.float32))
    (tmp_path / "cut.flac").write_bytes((tmp_path / "cut.flac").read_bytes()[:20])
    for name in ("text.flac", "cut.flac", "missing.flac"):
        with pytest.raises(InputError):
            read_flac(tmp_path / name)


def test_a_folder_that_is_missing_cannot_be_written_into(tmp_path: Path) -> None:
    with pytest.raises(LipganError, match="cannot write"):
        write_flac(tmp_path / "missing" / "a.flac", np.zeros(9, np.float32))
