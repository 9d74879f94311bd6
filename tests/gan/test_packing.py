"""Packed weights and the fast generator give what the plain one gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.generator import Generator, face_input
from lipgan_cli.engine.gan.inference import Animator, fold
from lipgan_cli.engine.gan.packing import SMALL, load_generator, pack, save_packed, unpack

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generator():
    """A generator whose batch norms have seen something."""
    torch.manual_seed(2)
    generator = Generator()
    with torch.no_grad():
        for _ in range(2):
            generator(torch.rand(4, 6, 96, 96), torch.randn(4, 1, 80, 27))
    return generator.eval()


def pictures(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 96, 96, 3), np.uint8)


def windows(seed, count):
    return np.random.default_rng(seed).uniform(-4, 4, (count, 80, 27)).astype(np.float32)


def eager(generator, reference, target, mel):
    with torch.no_grad():
        faces = face_input(
            *(torch.from_numpy(x).permute(0, 3, 1, 2) / 255 for x in (reference, target))
        )
        return generator(faces, torch.from_numpy(mel)[:, None]).permute(0, 2, 3, 1).numpy() * 255


def test_rounding_stays_within_half_a_step():
    weights = {"a": torch.randn(4, 30, 40, 40, generator=torch.Generator().manual_seed(0))}
    packed = pack(weights)
    assert packed["a"].dtype == torch.int8
    assert packed["a"].abs().amax((1, 2, 3)).tolist() == [127] * 4
    error = (unpack(packed)["a"] - weights["a"]).abs()
    assert (error <= packed["a.scale"] / 2 + 1e-7).all()


def test_small_weights_keep_their_fine_steps(generator):
    weights = generator.state_dict()
    packed = pack(weights)
    small = {name for name, tensor in packed.items() if tensor.dtype == torch.float16}
    assert {"face_encoder.0.convolution.weight", "tail.2.weight"} <= small
    again = unpack(packed)
    assert again.keys() == weights.keys()
    for name, tensor in weights.items():
        assert again[name].dtype == tensor.dtype
        if name in small:
            torch.testing.assert_close(again[name], tensor, rtol=1e-3, atol=1e-7)


def test_every_output_channel_has_its_own_scale(generator):
    packed = pack(generator.state_dict())
    for name, module in generator.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or weight.numel() <= SMALL:
            assert f"{name}.weight.scale" not in packed
            continue
        if isinstance(module, torch.nn.Conv2d):
            assert packed[f"{name}.weight.scale"].numel() == module.out_channels
            assert packed[f"{name}.weight.scale"].shape[0] == module.out_channels
        if isinstance(module, torch.nn.ConvTranspose2d):
            assert packed[f"{name}.weight.scale"].shape[1] == module.out_channels


def test_the_packed_file_is_small_and_close(tmp_path, generator):
    path = tmp_path / "weights.safetensors"
    save_packed(generator.state_dict(), path, {"config": "toy"})
    assert path.stat().st_size < 40e6
    reference, target, mel = pictures(0, 2), pictures(1, 2), windows(2, 2)
    difference = eager(load_generator(path), reference, target, mel) - eager(
        generator, reference, target, mel
    )
    assert np.abs(difference).mean() < 1.5
    assert np.abs(difference).max() > 0  # it did round


def test_folding_changes_nothing(generator):
    faces, mel = torch.rand(2, 6, 96, 96), torch.rand(2, 1, 80, 27)
    folded = fold(copy.deepcopy(generator))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        assert torch.allclose(folded(faces, mel), generator(faces, mel), atol=1e-4)


@pytest.mark.parametrize("half", [False, True])
def test_the_animator_paints_what_the_generator_paints(generator, half):
    reference, target, mel = pictures(3, 3), pictures(4, 3), windows(5, 3)
    painted = Animator(copy.deepcopy(generator), CPU, half_precision=half).faces(
        reference, target, mel
    )
    assert painted.dtype == np.uint8
    assert painted.shape == (3, 96, 96, 3)
    error = np.abs(painted - eager(generator, reference, target, mel)).mean()
    assert error < (1.0 if half else 0.3)


def test_one_picture_serves_many_windows(generator):
    reference, target, mel = pictures(3, 1), pictures(4, 1), windows(5, 3)
    animator = Animator(copy.deepcopy(generator), CPU, half_precision=False)
    once = animator.faces(reference, target, mel)
    each = animator.faces(reference.repeat(3, 0), target.repeat(3, 0), mel)
    assert np.abs(once.astype(int) - each).max() <= 1
    fixed = animator.faces(reference, target.repeat(3, 0), mel)
    assert np.abs(fixed.astype(int) - each).max() <= 1


def test_batch_statistics_are_those_of_what_is_painted_together(generator):
    reference, target, mel = pictures(3, 3), pictures(4, 3), windows(5, 3)
    animator = Animator(copy.deepcopy(generator), CPU, half_precision=False, batch_statistics=True)
    together = animator.faces(reference, target, mel)
    in_training = eager(copy.deepcopy(generator).train(), reference, target, mel)
    assert np.abs(together - in_training).mean() < 0.3
    fewer = animator.faces(reference[:2], target[:2], mel[:2])
    assert np.abs(together[:2].astype(int) - fewer).max() > 1


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x02}q\x00."])
def test_other_files_are_no_weights(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a weights file"):
        load_generator(path)


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="other weights than those of the generator"):
        load_generator(path)
