"""The lip-sync expert: its formula, its gradients, its file."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.expert import (
    TOP,
    Expert,
    load_expert,
    own_loss,
    save_expert,
    sync_loss,
)
from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.packing import save_packed


@pytest.fixture
def expert():
    torch.manual_seed(1)
    return Expert(4)


@pytest.fixture
def frozen(expert, tmp_path):
    save_expert(expert, tmp_path / "expert.safetensors", {})
    return load_expert(tmp_path / "expert.safetensors")


def windows(count, seed=0):
    random = torch.Generator().manual_seed(seed)
    faces = torch.rand(count, 5, 3, 96, 96, generator=random)
    return faces, torch.rand(count, 1, 80, 27, generator=random) * 8 - 4


def test_the_loss_by_hand():
    east, north = [1.0, 0.0], [0.0, 1.0]
    ones = torch.tensor([east, north], dtype=torch.float64)
    others = torch.tensor([east, [-1.0, 0.0], north], dtype=torch.float64)
    losses = own_loss(ones, others, 2.0)
    # Doubled cosines: (2, -2, 0), whose own is the first; and (0, 0, 2), whose own is the second.
    square = math.e**2
    assert losses.tolist() == pytest.approx(
        [math.log(square + 1 / square + 1) - 2, math.log(2 + square)]
    )


def test_embeddings_that_are_all_alike_leave_a_guess():
    alike = torch.tensor([[0.6, 0.8]]).expand(3, 2)
    assert own_loss(alike, alike, 10.0).tolist() == pytest.approx([math.log(3)] * 3)


def test_each_clip_of_a_batch_is_a_softmax_of_its_own():
    torch.manual_seed(0)
    ones, others = torch.randn(2, 4, 3, 8).unbind()
    together = own_loss(ones, others, 1.5)
    assert together.shape == (4, 3)
    for clip in range(4):
        torch.testing.assert_close(together[clip], own_loss(ones[clip], others[clip], 1.5))


def test_the_loss_keeps_its_precision_under_autocast():
    torch.manual_seed(0)
    ones, others = torch.nn.functional.normalize(torch.randn(2, 6, 16), dim=-1).unbind()
    exact = own_loss(ones, others, 50.0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(own_loss(ones, others, 50.0), exact, rtol=0, atol=0)


def test_embeddings_are_of_unit_length(expert):
    for embedding in expert(*windows(2)):
        assert embedding.shape == (2, 256)
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_a_window_is_embedded_alike_whatever_stands_beside_it(expert):
    faces, mel = windows(3)
    alone = expert(faces[:1], mel[:1])
    for one, three in zip(alone, expert(faces, mel), strict=True):
        torch.testing.assert_close(one, three[:1], rtol=0, atol=1e-5)


def test_the_upper_half_does_not_count_and_the_lower_does(expert):
    faces, _ = windows(1)
    upper, lower = faces.clone(), faces.clone()
    upper[..., :TOP, :] = 0
    lower[..., TOP:, 40:60] = 0
    with torch.no_grad():
        embedded = expert.embed_faces(faces)
        assert torch.equal(expert.embed_faces(upper), embedded)
        assert (expert.embed_faces(lower) - embedded).abs().max() > 1e-3


def test_brightness_contrast_and_tint_hardly_count_and_movement_does(expert):
    faces, _ = windows(1)
    tinted = faces * torch.tensor([0.9, 0.7, 0.8])[:, None, None] + 0.05
    with torch.no_grad():
        embedded = expert.embed_faces(faces)
        by_light = (expert.embed_faces(tinted) - embedded).norm()
        by_order = (expert.embed_faces(faces.flip(1)) - embedded).norm()
    assert by_light < 0.02
    assert by_order > 0.2


def test_a_window_of_one_colour_gives_numbers_and_gradients(frozen):
    faces = torch.full((2, 5, 3, 96, 96), 0.5, requires_grad=True)
    _, mel = windows(2)
    sync_loss(frozen, faces, mel, mel.flip(0)).sum().backward()
    assert torch.isfinite(faces.grad).all()


def test_the_sync_loss_is_over_the_true_and_unsynced_sounds_of_the_batch(frozen):
    faces, mel = windows(3)
    _, unsynced = windows(3, seed=1)
    losses = sync_loss(frozen, faces, mel, unsynced)
    assert losses.shape == (3,)
    seen, heard = frozen(faces, torch.cat([mel, unsynced]))
    for window in range(3):
        chances = torch.softmax(10 * heard @ seen[window], 0)
        assert losses[window].item() == pytest.approx(-math.log(chances[window]), abs=1e-5)


def test_gradients_reach_the_lower_half_of_all_five_faces_and_no_weight(frozen):
    faces, mel = windows(2)
    faces.requires_grad_()
    sync_loss(frozen, faces, mel, mel.flip(0)).mean().backward()
    assert (faces.grad[..., TOP:, :].abs().amax((2, 3, 4)) > 0).all()
    assert (faces.grad[..., :TOP, :] == 0).all()
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert not frozen.training


def test_a_few_steps_tell_true_from_unsynced_sounds():
    torch.manual_seed(0)
    expert = Expert(4)
    faces, mel = torch.zeros(3, 5, 3, 96, 96), torch.full((3, 1, 80, 27), -4.0)
    for i in range(3):  # another place in the face and another band of sound for each
        faces[i, :, :, 55 + 10 * i : 65 + 10 * i, 40:60] = 1
        mel[i, :, 25 * i : 25 * i + 25] = 2
    optimizer = torch.optim.Adam(expert.parameters(), 3e-3)
    for _ in range(6):
        loss = own_loss(*expert(faces, mel), expert.scale).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        synced = sync_loss(expert, faces, mel, mel.roll(1, 0))
        wrong = sync_loss(expert, faces, mel.roll(1, 0), mel)
    assert (wrong - synced > 1).all()


def test_the_scale_has_a_ceiling(expert):
    assert expert.scale.item() == pytest.approx(10)
    with torch.no_grad():
        expert.log_scale.fill_(9.0)
    assert expert.scale.item() == pytest.approx(100)


def test_a_file_gives_the_same_expert_back(expert, frozen):
    assert frozen.width == 4
    for one, other in zip(expert(*windows(2)), frozen(*windows(2)), strict=True):
        assert torch.equal(one, other)


def test_a_network_in_another_layout_can_be_saved(expert, tmp_path):
    path = tmp_path / "expert.safetensors"
    faces, _ = windows(1)
    before = expert.embed_faces(faces)
    save_expert(expert.to(memory_format=torch.channels_last), path, {})
    torch.testing.assert_close(load_expert(path).embed_faces(faces), before, rtol=0, atol=1e-5)


def test_no_room_is_told(expert, tmp_path):
    with pytest.raises(LipganError, match="cannot write"):
        save_expert(expert, tmp_path / "none" / "expert.safetensors", {})


def a_generators_file(path):
    save_packed(Generator(4).state_dict(), path, {})


def no_weights_file(path):
    path.write_bytes(b"nothing of the kind")


def an_expert_cut_short(path):
    save_expert(Expert(4), path, {})
    path.write_bytes(path.read_bytes()[:-100])


def other_weights(path):
    save_file({"face.0.weight": torch.zeros(4, 15)}, path, {"format": "lipgan-expert/1"})


def weights_of_no_format(path):
    save_file(Expert(4).state_dict(), path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (a_generators_file, "has the format lipgan-generator/1"),
        (no_weights_file, "is not an expert's file"),
        (an_expert_cut_short, "is not an expert's file"),
        (other_weights, "holds other weights"),
        (weights_of_no_format, "has the format of none"),
        (lambda path: None, "is not an expert's file"),
    ],
)
def test_another_file_is_named(write, message, tmp_path):
    path = tmp_path / "given.safetensors"
    write(path)
    with pytest.raises(InputError, match=message) as raised:
        load_expert(path)
    assert "expert.safetensors" in raised.value.hint
