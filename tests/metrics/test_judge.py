"""The lip-sync judge: what it sees and hears, its size, its file."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.judge import (
    COUNTS,
    DEFAULT_JUDGE,
    EMBEDDING,
    FRAMES,
    HEARD,
    TOP,
    Judge,
    load_judge,
    save_judge,
)


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(3)
    return Judge().requires_grad_(False).eval()


def windows(seed=0, count=2, contrast=40.0):
    """Windows of smooth grey pictures about 120, as a mouth is smooth."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, FRAMES, 6, 12, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (48, 96), mode="bilinear")
    return 120 + contrast * smooth


def test_what_it_gives_are_unit_vectors(judge):
    seen = judge.embed_faces(windows().to(torch.uint8))
    heard = judge.embed_sounds(torch.randn(3, 80, 25))
    assert seen.shape == (2, EMBEDDING)
    assert heard.shape == (3, 25 - 2 * HEARD, EMBEDDING)
    assert seen.dtype == heard.dtype == torch.float32
    torch.testing.assert_close(seen.norm(dim=-1), torch.ones(2))
    torch.testing.assert_close(heard.norm(dim=-1), torch.ones(3, 5))


def test_its_size(judge):
    assert sum(weight.numel() for weight in judge.parameters()) == 1_748_273


def test_it_looks_at_the_lower_half(judge):
    assert windows().shape[2:] == (96 - TOP, 96)
    with pytest.raises(RuntimeError):
        judge.embed_faces(torch.zeros(1, FRAMES, 96, 96))


def test_it_does_not_see_brightness(judge):
    plain = windows()
    torch.testing.assert_close(
        judge.embed_faces(plain + 60), judge.embed_faces(plain), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_it_hardly_sees_contrast(judge, factor):
    own = judge.embed_faces(windows())
    other = judge.embed_faces(windows(contrast=40 * factor))
    different = judge.embed_faces(windows(seed=1))
    alike, unlike = ((own * each).sum(-1).mean().item() for each in (other, different))
    assert alike > 0.999
    assert unlike < alike - 0.002


def test_light_that_changes_within_a_window_is_seen(judge):
    plain = windows()
    flicker = torch.tensor([0.0, 0, 40, 0, 0])[:, None, None]
    assert not torch.allclose(
        judge.embed_faces(plain + flicker), judge.embed_faces(plain), atol=1e-4
    )


def test_a_flat_window_is_no_accident_of_its_noise(judge):
    flat = torch.full((1, FRAMES, 48, 96), 90.0)
    speck = flat.clone()
    speck[..., 20, 20] += 1
    own, other = judge.embed_faces(flat), judge.embed_faces(speck)
    assert torch.isfinite(own).all()
    assert (own * other).sum().item() > 0.95


def test_a_moment_hears_ten_columns_on_each_side(judge):
    mel = torch.randn(1, 80, 61)
    plain = judge.embed_sounds(mel)[0]  # moments 10 .. 50
    for column in (0, 30, 60):
        changed = mel.clone()
        changed[..., column] += 3
        apart = (judge.embed_sounds(changed)[0] - plain).abs().amax(1) > 1e-6
        touched = {10 + place for place in torch.nonzero(apart).flatten().tolist()}
        assert touched == {at for at in range(10, 51) if abs(at - column) <= HEARD}


def test_the_temperature_has_an_end():
    judge = Judge()
    assert judge.scale.item() == pytest.approx(10)
    torch.nn.init.constant_(judge.log_scale, 20.0)
    assert judge.scale.item() == pytest.approx(100)


# Files


def test_a_file_brings_it_back_in_half_precision(judge, tmp_path):
    torch.manual_seed(4)
    taught = Judge()
    taught.embed_sounds(4 * torch.randn(2, 80, 30))  # moves the statistics of its batch norms
    path = tmp_path / "judge.safetensors"
    save_judge(taught, path, {"clips": 7, "test": {"all": {"auc": None}}})
    assert 3_400_000 < path.stat().st_size < 3_700_000
    again = load_judge(path)
    assert not again.training
    assert not any(weight.requires_grad for weight in again.parameters())
    for name, tensor in taught.state_dict().items():
        if not name.endswith(COUNTS):
            assert torch.equal(again.state_dict()[name], tensor.half().float()), name
    mel = torch.randn(1, 80, 40)
    torch.testing.assert_close(
        again.embed_sounds(mel), taught.eval().embed_sounds(mel), atol=3e-3, rtol=0
    )
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["about"]) == {"clips": 7, "test": {"all": {"auc": None}}}


def test_the_judge_of_the_install():
    judge = load_judge()
    assert DEFAULT_JUDGE.stat().st_size < 4_000_000
    assert all(torch.isfinite(tensor).all() for tensor in judge.state_dict().values())
    with safe_open(DEFAULT_JUDGE, "pt") as file:
        about = json.loads(file.metadata()["about"])
    # How it did, when it was made, on clips that it never saw; of s32 and s33 it saw none at all.
    told = about["test"]
    assert told.keys() == {"s1", "s32", "s33", "all"}
    for name, found, area in (("s1", 0.98, 0.99), ("s32", 0.95, 0.9), ("s33", 0.95, 0.9)):
        assert told[name]["clips"] >= 10
        assert found <= told[name]["found"] <= 1
        assert area <= told[name]["auc"] <= 1
        assert 0.2 < told[name]["confidence"] < 1


def write_text(path, judge):
    path.write_text("no weights\n" * 9)


def write_empty(path, judge):
    path.touch()


def write_folder(path, judge):
    path.mkdir()


def write_cut(path, judge):
    save_judge(judge, path, {})
    path.write_bytes(path.read_bytes()[:100_000])


def write_other_format(path, judge):
    save_file(judge.state_dict(), path, {"format": "lipgan-judge/9"})


def write_no_format(path, judge):
    save_file(judge.state_dict(), path)


def write_too_little(path, judge):
    save_file({"log_scale": torch.tensor(1.0)}, path, {"format": "lipgan-judge/1"})


def write_other_shape(path, judge):
    weights = judge.state_dict() | {"face.0.weight": torch.zeros(32, 4, 5, 5)}
    save_file(weights, path, {"format": "lipgan-judge/1"})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (None, "is not a judge's file"),
        (write_text, "is not a judge's file"),
        (write_empty, "is not a judge's file"),
        (write_folder, "is not a judge's file"),
        (write_cut, "is not a judge's file"),
        (write_other_format, "has the format lipgan-judge/9, this version reads lipgan-judge/1"),
        (write_no_format, "has the format of none of lipgan's files"),
        (write_too_little, "holds other weights than those of a judge"),
        (write_other_shape, "holds other weights than those of a judge"),
    ],
)
def test_another_file_is_told_in_one_line(judge, tmp_path, write, message):
    path = tmp_path / "a [1] ü.safetensors"
    if write is not None:
        write(path, judge)
    with pytest.raises(InputError, match=message) as error:
        load_judge(path)
    assert str(path) in error.value.message
    assert "\n" not in error.value.message
    assert error.value.hint


def test_a_folder_that_is_not_there_cannot_be_written(judge, tmp_path):
    with pytest.raises(LipganError, match=r"cannot write judge\.safetensors"):
        save_judge(judge, tmp_path / "missing" / "judge.safetensors", {})
