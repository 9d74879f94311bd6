"""From `lipgan sync` to `lipgan verify`, on the command line."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.packing import save_packed
from lipgan_cli.engine.media.demo import write_portrait
from lipgan_cli.engine.media.video import probe, read_frames


def test_what_sync_is_told_verify_finds(
    lipgan: Callable[..., Any], issue: Callable[..., Any], tmp_path: Path
) -> None:
    torch.manual_seed(10)
    weights, speech = tmp_path / "anna.safetensors", tmp_path / "speech.wav"
    save_packed(Generator(4).state_dict(), weights, {})
    with wave.open(str(speech), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        noise = np.random.default_rng(1).integers(-3000, 3000, 24000)
        file.writeframes(noise.astype("<i2").tobytes())
    consent = tmp_path / "consent.pdf"
    consent.write_text("yes")
    face, issued = write_portrait(tmp_path / "face.png"), issue(name="Anna")
    output = tmp_path / "out.mp4"
    given = ["sync", face, speech, "-o", output, "--weights", weights, "--quiet"]
    label = ["--label", "sv", "--label-corner", "top-left", "--label-size", 0.1]
    signed = ["--sign-cert", issued.certificate, "--sign-key", issued.key, "--consent", consent]
    ran = lipgan(*given, *label, "--label-opacity", 0.9, *signed)
    assert (ran.code, ran.stderr) == (0, "")

    ran = lipgan("verify", output, "--json", "--trust", issued.authority)
    assert ran.code == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["verdict"] == "trusted"
    assert told["credentials"]["signer"]["name"] == "Anna"
    stated = told["credentials"]["statement"]
    assert stated["model"] == "anna.safetensors"
    for name, path in (("face", face), ("speech", speech), ("model", weights)):
        assert stated[f"{name}_sha256"] == content_hash(path)
    assert stated["consent_sha256"] == content_hash(consent)
    assert told["sound"]["identifier"] == stated["sound_mark"]
    assert lipgan("verify", output).code == 1  # nobody here knows Anna's authority

    plain = tmp_path / "plain.mp4"
    ran = lipgan(*given[:4], plain, *given[5:], "--no-provenance")
    assert ran.code == 0
    assert lipgan("verify", plain).code == 1
    labelled, bare = (next(read_frames(probe(path))).astype(int) for path in (output, plain))
    rows = len(bare) * 2 // 3
    changed = np.argwhere(np.abs(labelled - bare)[:rows] > 40)
    assert len(changed) > 100
    assert (changed.max(axis=0) < (rows // 3, bare.shape[1])).all()


def test_options_that_would_do_nothing_are_refused(
    lipgan: Callable[..., Any], tmp_path: Path
) -> None:
    face, consent = write_portrait(tmp_path / "face.png"), tmp_path / "consent.pdf"
    consent.write_text("yes")
    given = ["sync", face, consent, "-o", tmp_path / "out.mp4"]
    ran = lipgan(*given, "--no-provenance", "--consent", consent)
    assert ran.code == 2
    assert ran.stderr.startswith("error: --consent and --no-provenance do not go together\n")
    ran = lipgan(*given, "--label-font", consent)
    assert ran.code == 2
    assert ran.stderr.startswith("error: there is a font, and no label to write\n")
