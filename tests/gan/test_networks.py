"""The networks are those of the tables: sizes, shapes and ranges."""

from __future__ import annotations

import pytest
import torch

from lipgan_cli.engine.gan.critic import Critic
from lipgan_cli.engine.gan.generator import Generator, face_input


def parameters(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return Generator().eval()


def test_the_generator_has_the_thesis_number_of_parameters(generator):
    assert parameters(generator) == 37_087_763


def test_the_critic_has_the_thesis_number_of_parameters():
    assert parameters(Critic()) == 10_337_152


def test_the_generator_paints_faces_between_0_and_1(generator):
    with torch.no_grad():
        painted = generator(torch.rand(2, 6, 96, 96), torch.randn(2, 1, 80, 27) * 4)
    assert painted.shape == (2, 3, 96, 96)
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert painted.std() > 0


def test_the_encoders_have_the_tables_shapes(generator):
    with torch.no_grad():
        features = generator.encode_face(torch.rand(1, 6, 96, 96))
        audio = generator.encode_audio(torch.rand(1, 1, 80, 27))
    assert [tuple(f.shape[1:]) for f in features] == [
        (32, 96, 96),
        (64, 48, 48),
        (128, 24, 24),
        (256, 12, 12),
        (512, 6, 6),
        (512, 3, 3),
        (512, 1, 1),
    ]
    assert audio.shape == (1, 512, 1, 1)


def test_encoded_faces_can_be_reused(generator):
    faces, mel = torch.rand(1, 6, 96, 96), torch.rand(1, 1, 80, 27)
    with torch.no_grad():
        reused = generator.decode(generator.encode_face(faces), generator.encode_audio(mel))
        assert torch.equal(reused, generator(faces, mel))


def test_the_generator_cannot_see_the_lower_half_of_the_target():
    reference, target = torch.rand(1, 3, 96, 96), torch.rand(1, 3, 96, 96)
    other = target.clone()
    other[:, :, 48:] = torch.rand(1, 3, 48, 96)
    assert torch.equal(face_input(reference, target), face_input(reference, other))
    joined = face_input(reference, target)
    assert torch.equal(joined[:, :3], reference)
    assert torch.equal(joined[:, 3:, :48], target[:, :, :48])
    assert joined[:, 3:, 48:].abs().max() == 0


def test_the_critic_embeds_faces_and_sounds_alike():
    face, audio = Critic()(torch.rand(3, 3, 96, 96), torch.rand(3, 1, 80, 27))
    assert face.shape == audio.shape == (3, 512)


def test_the_critic_has_no_batch_norm():
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in Critic().modules())
