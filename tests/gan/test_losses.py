"""Strategies, readouts and penalties against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipgan_cli.engine.config import Variant
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.losses import STRATEGIES, Contrastive, L1Wasserstein, Wasserstein
from lipgan_cli.engine.gan.penalties import Pair

L1 = torch.tensor(0.25, dtype=torch.float64)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def never():
    raise AssertionError("this strategy must not ask the critic")


# readouts


def test_distance_of_unit_vectors():
    face = torch.tensor([[3.0, 0.0], [0.0, 2.0], [5.0, 0.0]], dtype=torch.float64)
    audio = torch.tensor([[7.0, 0.0], [4.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert readouts.distance(face, audio).tolist() == pytest.approx([0, math.sqrt(2), 2])


def test_distance_has_a_gradient_where_a_perfect_pair_sits():
    face = tensor([1.0, 2.0])
    readouts.distance(face, face.detach().clone()).sum().backward()
    assert torch.isfinite(face.grad).all()


def test_joint_is_a_scaled_dot_product():
    face = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    audio = torch.tensor([[1.0, 0.0, -1.0, 2.0]], dtype=torch.float64)
    assert readouts.joint(face, audio).tolist() == [(1 - 3 + 8) / 2]


def test_additive_is_the_mean_of_the_concatenation():
    face = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    audio = torch.tensor([[5.0, 7.0]], dtype=torch.float64)
    assert readouts.additive(face, audio).tolist() == [4.0]


def test_additive_cannot_tell_who_belongs_to_whom_and_joint_can():
    torch.manual_seed(1)
    face, audio = torch.randn(2, 8, 5, dtype=torch.float64)
    shuffled = audio.roll(1, 0)
    right, wrong = readouts.additive(face, audio), readouts.additive(face, shuffled)
    assert right.mean().item() == pytest.approx(wrong.mean().item(), abs=1e-12)
    right, wrong = readouts.joint(face, audio), readouts.joint(face, shuffled)
    assert abs((right.mean() - wrong.mean()).item()) > 0.01


# strategies


def test_contrastive_critic_by_hand():
    terms = Contrastive().critic(tensor(0.0, 1.0), tensor(0.5, 2.5))
    assert terms["real"].item() == pytest.approx((0 + 1) / 2 / 4)
    assert terms["fake"].item() == pytest.approx((1.5**2 + 0) / 2 / 4)


def test_a_critic_that_knows_nothing_loses_a_half():
    terms = Contrastive().critic(tensor(1.0, 1.0), tensor(1.0, 1.0))
    assert sum(term.item() for term in terms.values()) == pytest.approx(0.5)


def test_contrastive_generator_by_hand():
    terms = Contrastive(weight=0.01).generator(L1, lambda: tensor(1.0, 2.0))
    assert terms["l1"].item() == 0.25
    assert terms["contrastive"].item() == pytest.approx(0.01 * (1 + 4) / 2 / 2)


def test_contrastive_pulls_real_pairs_together_and_fakes_apart():
    real, fake = tensor(1.0), tensor(1.0)
    sum(Contrastive().critic(real, fake).values()).backward()
    assert real.grad.item() == pytest.approx(0.5)
    assert fake.grad.item() == pytest.approx(-0.5)


def test_wasserstein_by_hand():
    terms = Wasserstein().critic(tensor(3.0, 5.0), tensor(1.0, 2.0))
    assert sum(term.item() for term in terms.values()) == pytest.approx(1.5 - 4)
    terms = Wasserstein().generator(L1, lambda: tensor(1.0, 2.0))
    assert sum(term.item() for term in terms.values()) == pytest.approx(-1.5)


def test_l1_wasserstein_never_asks_the_critic():
    assert {name: term.item() for name, term in L1Wasserstein().generator(L1, never).items()} == {
        "l1": 0.25
    }


def test_l1_alone_has_no_critic():
    strategy = STRATEGIES[Variant.L1]
    assert strategy.readout is None
    assert strategy.generator(L1, never)["l1"].item() == 0.25


@pytest.mark.parametrize(
    ("variant", "steps", "rate", "beta2"),
    [
        (Variant.LIPGAN, 1, 1e-3, 0.999),
        (Variant.WGAN_GP, 5, 1e-4, 0.9),
        (Variant.L1WGAN_GP, 5, 1e-4, 0.9),
    ],
)
def test_schedules_are_those_of_the_thesis(variant, steps, rate, beta2):
    strategy = STRATEGIES[variant]
    assert strategy.critic_steps == steps
    assert (strategy.optimizer.learning_rate, strategy.optimizer.beta1) == (rate, 0.5)
    assert strategy.optimizer.beta2 == beta2
    assert strategy.penalty_weight == (10 if strategy.penalty else 0)


# what every strategy must keep to


@pytest.mark.parametrize("variant", Variant)
def test_contract(variant):
    strategy = STRATEGIES[variant]
    assert strategy.critic_steps >= 1
    real, fake = tensor(0.2, 1.4), tensor(0.9, 1.1)
    critic = strategy.critic(real, fake)
    assert bool(critic) == (strategy.readout is not None)
    verdict = tensor(0.3, 0.6)
    generator = strategy.generator(L1.clone().requires_grad_(), lambda: verdict)
    assert generator
    for term in (*critic.values(), *generator.values()):
        assert term.shape == ()
        assert term.dtype == torch.float64
        assert torch.isfinite(term)
    if critic:
        assert torch.autograd.gradcheck(
            lambda a, b: sum(strategy.critic(a, b).values()), (real, fake)
        )


# penalties


class Linear:
    """D(face, mel) = w . face + v . mel, whose gradient is (w, v) everywhere."""

    def __init__(self, face_weight, mel_weight):
        self.face_weight, self.mel_weight = face_weight, mel_weight

    def __call__(self, pair):
        return self.face_weight * pair.faces.sum((1, 2, 3)) + self.mel_weight * pair.mel.sum(
            (1, 2, 3)
        )


def pair(value, mel):
    return Pair(
        torch.full((2, 3, 2, 2), value, dtype=torch.float64),
        torch.full((2, 1, 2, 2), mel, dtype=torch.float64),
    )


def test_interpolated_penalty_of_a_linear_critic():
    norm = math.sqrt(12 * 0.5**2 + 4 * 0.25**2)
    value = penalties.interpolated(Linear(0.5, 0.25), pair(0.0, 1.0), pair(1.0, 1.0))
    assert value.item() == pytest.approx((norm - 1) ** 2)


def test_penalty_at_the_fake_face_leaves_the_sound_out():
    norm = math.sqrt(12 * 0.5**2)
    value = penalties.at_fake(Linear(0.5, 0.25), pair(0.0, 1.0), pair(1.0, 1.0))
    assert value.item() == pytest.approx((norm - 1) ** 2)


def test_interpolated_penalty_looks_between_the_pairs():
    seen = []

    def judge(between):
        seen.append(between)
        return (between.faces**2).sum((1, 2, 3)) + between.mel.sum((1, 2, 3))

    torch.manual_seed(0)
    penalties.interpolated(judge, pair(0.0, 3.0), pair(1.0, 3.0))
    faces, mel = seen[0]
    assert 0 < faces.min() <= faces.max() < 1
    assert (faces == faces[:, :1, :1, :1]).all()  # one mix a sample
    assert faces[0, 0, 0, 0] != faces[1, 0, 0, 0]
    assert mel.detach().numpy() == pytest.approx(3.0)  # what the pairs share does not move


def test_penalties_reach_the_critic_s_weights():
    weight = tensor(0.5)
    for penalty in (penalties.interpolated, penalties.at_fake):
        weight.grad = None
        penalty(Linear(weight, 0.0), pair(0.0, 1.0), pair(1.0, 1.0)).backward()
        norm = math.sqrt(12) * 0.5
        assert weight.grad.item() == pytest.approx(2 * (norm - 1) * math.sqrt(12))
