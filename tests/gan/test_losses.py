"""Strategies, readouts and penalties against values computed by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from lipgan_cli.engine.config import Variant
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.losses import STRATEGIES, Judged, transport_cost
from lipgan_cli.engine.gan.penalties import Pair

L1 = torch.tensor(0.25, dtype=torch.float64)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


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


def test_closeness_is_minus_the_distance():
    face, audio = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.equal(readouts.closeness(face, audio), -readouts.distance(face, audio))


# strategies


def pairs(count, face=0.0, mel=0.0):
    return Pair(
        torch.full((count, 3, 2, 2), face, dtype=torch.float64),
        torch.full((count, 1, 2, 2), mel, dtype=torch.float64),
    )


def judged(*scores, face=0.0, mel=0.0):
    return Judged(pairs(len(scores), face, mel), tensor(*scores))


@dataclass
class Attempted:
    """A generator's attempt with given answers; what is not given must not be asked."""

    l1: torch.Tensor = L1
    fakes: Judged | None = None
    reals: Judged | None = None
    synced: torch.Tensor | None = None

    @property
    def generated(self):
        return self.fakes.pair

    def fake(self):
        assert self.fakes is not None, "this strategy must not ask the critic"
        return self.fakes

    def real(self):
        assert self.reals is not None, "this strategy must not ask the critic about real pairs"
        return self.reals

    def sync(self):
        assert self.synced is not None, "this strategy must not ask the expert"
        return self.synced


def critic(variant, real, fake):
    terms = STRATEGIES[variant].critic(judged(*real), judged(*fake))
    return {name: term.item() for name, term in terms.items()}


def generator(variant, **answers):
    terms = STRATEGIES[variant].generator(Attempted(**answers))
    return {name: term.item() for name, term in terms.items()}


def softplus(x):
    return math.log(1 + math.exp(x))


def test_contrastive_by_hand():
    terms = critic(Variant.LIPGAN, (0.0, 1.0), (0.5, 2.5))
    assert terms == pytest.approx({"real": (0 + 1) / 2 / 4, "fake": (1.5**2 + 0) / 2 / 4})
    terms = generator(Variant.LIPGAN, fakes=judged(1.0, 2.0))
    assert terms == pytest.approx({"l1": 0.25, "critic": 0.01 * (1 + 4) / 2 / 2})


def test_a_contrastive_critic_that_knows_nothing_loses_a_half():
    assert sum(critic(Variant.LIPGAN, (1.0, 1.0), (1.0, 1.0)).values()) == pytest.approx(0.5)


def test_contrastive_pulls_real_pairs_together_and_fakes_apart():
    real, fake = judged(1.0), judged(1.0)
    sum(STRATEGIES[Variant.LIPGAN].critic(real, fake).values()).backward()
    assert real.score.grad.item() == pytest.approx(0.5)
    assert fake.score.grad.item() == pytest.approx(-0.5)


WASSERSTEIN = (Variant.WGAN, Variant.WGAN_GP, Variant.WGAN_LP, Variant.WGAN_DIV, Variant.WGAN_GP_L1)


@pytest.mark.parametrize("variant", WASSERSTEIN)
def test_wasserstein_by_hand(variant):
    assert critic(variant, (3.0, 5.0), (1.0, 2.0)) == {"real": -4.0, "fake": 1.5}
    terms = generator(variant, fakes=judged(1.0, 2.0))
    assert terms.pop("l1", None) == (25.0 if variant is Variant.WGAN_GP_L1 else None)
    assert terms == {"critic": -1.5}


def test_l1wgan_gp_has_the_critic_of_wgan_gp_and_never_asks_it():
    one, other = STRATEGIES[Variant.WGAN_GP], STRATEGIES[Variant.L1WGAN_GP]
    assert replace(other, l1_weight=0.0, critic_weight=1.0) == one
    assert generator(Variant.L1WGAN_GP) == {"l1": 0.25}


def test_what_bounds_the_slope_makes_the_wasserstein_family():
    bounds = {
        variant: (STRATEGIES[variant].penalty, STRATEGIES[variant].penalty_weight)
        for variant in WASSERSTEIN[:4]
    }
    assert bounds == {
        Variant.WGAN: (None, 0.0),
        Variant.WGAN_GP: (penalties.interpolated, 10.0),
        Variant.WGAN_LP: (penalties.one_sided, 10.0),
        Variant.WGAN_DIV: (penalties.sixth_power, 2.0),
    }
    assert STRATEGIES[Variant.WGAN].clip == 0.01


def test_gan_by_hand():
    terms = critic(Variant.GAN, (0.0, 2.0), (1.0, -1.0))
    assert terms == pytest.approx(
        {
            "real": (softplus(0) + softplus(-2)) / 2,
            "fake": (softplus(1) + softplus(-1)) / 2,
        }
    )
    # log(1 - D) with D = 1 / (1 + exp(-1))
    minimax = math.log(1 - 1 / (1 + math.exp(-1)))
    assert generator(Variant.GAN, fakes=judged(1.0)) == pytest.approx({"critic": minimax})


@pytest.mark.parametrize("variant", [Variant.NSGAN, Variant.DRAGAN])
def test_non_saturating_by_hand(variant):
    assert critic(variant, (0.5,), (0.25,)) == critic(Variant.GAN, (0.5,), (0.25,))
    own = -math.log(1 / (1 + math.exp(-1)))  # -log D
    assert generator(variant, fakes=judged(1.0)) == pytest.approx({"critic": own})


def test_dragan_is_nsgan_with_a_penalty_round_the_real():
    assert (
        replace(STRATEGIES[Variant.DRAGAN], penalty=None, penalty_weight=0.0)
        == (STRATEGIES[Variant.NSGAN])
    )
    assert STRATEGIES[Variant.DRAGAN].penalty is penalties.around_real


def test_least_squares_by_hand():
    assert critic(Variant.LSGAN, (3.0, 1.0), (1.0, 2.0)) == {"real": 1.0, "fake": 1.25}
    assert generator(Variant.LSGAN, fakes=judged(1.0, 4.0)) == {"critic": 2.25}


def test_transport_cost_measures_faces_and_sound():
    real = Pair(torch.zeros(2, 3, 2, 2, dtype=torch.float64), pairs(2).mel)
    real.mel[1] = 8.0
    fake = Pair(torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64), pairs(1).mel)
    cost = transport_cost(real, fake)
    assert cost.shape == (2, 1)
    # root mean square: faces differ by 0.5, sounds by 0 or by 8 of a range of 8
    assert cost[:, 0].tolist() == pytest.approx([0.5, math.sqrt(0.25 + 1)], abs=1e-9)


def test_the_c_transform_takes_the_nearest_real_pair():
    real = Judged(Pair(pairs(2).faces, pairs(2).mel), tensor(0.1, 0.7))
    real.pair.faces[1] = 1.0
    fake = Judged(pairs(1, face=0.25), tensor(99.0))  # the critic's own word on fakes is not used
    terms = STRATEGIES[Variant.WGAN_C].critic(real, fake)
    # costs 0.25 and 0.75: min(0.25 - 0.1, 0.75 - 0.7) = 0.05
    assert terms["real"].item() == pytest.approx(-0.4)
    assert terms["fake"].item() == pytest.approx(-0.05)
    terms = STRATEGIES[Variant.WGAN_C].generator(Attempted(fakes=fake, reals=real))
    assert {name: term.item() for name, term in terms.items()} == pytest.approx({"critic": 0.05})


def test_the_soft_c_transform_by_hand():
    real = Judged(Pair(pairs(2).faces, pairs(2).mel), tensor(0.1, 0.7))
    real.pair.faces[1] = 1.0
    fake = Judged(pairs(1, face=0.25), tensor(0.0))
    loss = replace(STRATEGIES[Variant.WGAN_C_EPS], epsilon=0.5)
    soft = -0.5 * math.log((math.exp(-0.15 / 0.5) + math.exp(-0.05 / 0.5)) / 2)
    assert loss.critic(real, fake)["fake"].item() == pytest.approx(-soft)
    nearly_hard = replace(loss, epsilon=1e-4).critic(real, fake)["fake"].item()
    assert nearly_hard == pytest.approx(-0.05, abs=1e-3)


def test_the_c_transform_pulls_the_generated_face_towards_the_real_one():
    faces = torch.full((1, 3, 2, 2), 0.25, dtype=torch.float64, requires_grad=True)
    attempt = Attempted(
        fakes=Judged(Pair(faces, pairs(1).mel), tensor(0.0)), reals=judged(0.0, face=1.0)
    )
    STRATEGIES[Variant.WGAN_C].generator(attempt)["critic"].backward()
    assert (faces.grad < 0).all()  # a step against the gradient makes it brighter, like the real


def test_the_expert_adds_its_own_term():
    terms = generator(Variant.EXPERT, synced=tensor(1.0, 3.0))
    assert terms == pytest.approx({"l1": 0.25, "expert": 0.001 * 2})
    terms = generator(Variant.LIPGAN_EXPERT, fakes=judged(1.0, 2.0), synced=tensor(1.0))
    assert terms == pytest.approx({"l1": 0.25, "critic": 0.0125, "expert": 0.001})


def test_l1_alone_asks_nobody():
    assert STRATEGIES[Variant.L1].readout is None
    assert generator(Variant.L1) == {"l1": 0.25}


# what every strategy must keep to


@pytest.mark.parametrize("variant", Variant)
def test_contract(variant):
    strategy = STRATEGIES[variant]
    assert strategy.critic_steps >= 1
    assert (strategy.penalty is None) == (strategy.penalty_weight == 0)
    assert not strategy.critic_weight or strategy.readout
    real, fake = judged(0.2, 1.4, face=0.1), judged(0.9, 1.1, face=0.7)
    critic = strategy.critic(real, fake)
    assert set(critic) == ({"real", "fake"} if strategy.readout else set())
    l1 = L1.clone().requires_grad_()
    generator = strategy.generator(Attempted(l1, fake, real, tensor(0.3)))
    assert generator
    for term in (*critic.values(), *generator.values()):
        assert term.shape == ()
        assert term.dtype == torch.float64
        assert torch.isfinite(term)
    if critic:
        assert torch.autograd.gradcheck(
            lambda a, b: sum(strategy.critic(Judged(real.pair, a), Judged(fake.pair, b)).values()),
            (real.score, fake.score),
        )


@pytest.mark.parametrize("variant", [v for v in Variant if STRATEGIES[v].critic_weight])
def test_gradients_reach_the_generated_faces(variant):
    """Through the judgement, or through the cost: checked against differences in float64."""
    strategy = STRATEGIES[variant]

    def loss(faces):
        pair = Pair(faces, pairs(2, mel=1.0).mel)
        fake = Judged(pair, (faces**2).mean((1, 2, 3)))
        attempt = Attempted(L1, fake, judged(0.3, 0.4, face=0.9), tensor(0.1))
        return strategy.generator(attempt)["critic"]

    torch.manual_seed(0)
    faces = torch.rand(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (faces,))


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


def test_the_one_sided_penalty_leaves_gentle_slopes_alone():
    gentle = penalties.one_sided(Linear(0.1, 0.1), pair(0.0, 1.0), pair(1.0, 1.0))
    assert gentle.item() == 0
    steep = math.sqrt(12 * 0.5**2 + 4 * 0.25**2)
    value = penalties.one_sided(Linear(0.5, 0.25), pair(0.0, 1.0), pair(1.0, 1.0))
    assert value.item() == pytest.approx((steep - 1) ** 2)


def test_the_sixth_power_has_no_slope_that_it_likes():
    norm = math.sqrt(12 * 0.2**2 + 4 * 0.1**2)
    value = penalties.sixth_power(Linear(0.2, 0.1), pair(0.0, 1.0), pair(1.0, 1.0))
    assert value.item() == pytest.approx(norm**6)


def test_the_penalty_round_the_real_looks_near_the_real_pair():
    seen = []

    def judge(near):
        seen.append(near)
        return near.faces.sum((1, 2, 3)) / 2 + near.mel.sum((1, 2, 3)) / 4

    torch.manual_seed(0)
    real = Pair(*(torch.rand(shape, dtype=torch.float64) for shape in ((2, 3, 2, 2), (2, 1, 2, 2))))
    value = penalties.around_real(judge, real, pair(50.0, 50.0))
    assert value.item() == pytest.approx((math.sqrt(12 * 0.25 + 4 / 16) - 1) ** 2)
    for near, here in zip(seen[0], real, strict=True):
        moved = (near - here).detach()
        assert (moved >= 0).all()
        assert 0 < moved.max() <= here.std() / 2


@pytest.mark.parametrize(
    "penalty",
    [
        penalties.interpolated,
        penalties.one_sided,
        penalties.sixth_power,
        penalties.around_real,
        penalties.at_fake,
    ],
)
def test_penalties_differentiate_twice(penalty):
    """Their gradient with respect to the critic's weight, against differences in float64."""

    def value(weight):
        torch.manual_seed(1)
        return penalty(
            lambda p: (weight * p.faces**2).sum((1, 2, 3)) + (weight * p.mel).sum((1, 2, 3)),
            pair(0.2, 1.0),
            pair(0.9, 2.0),
        )

    assert torch.autograd.gradcheck(value, (tensor(0.7),))


def test_penalties_reach_the_critic_s_weights():
    weight = tensor(0.5)
    for penalty in (penalties.interpolated, penalties.at_fake):
        weight.grad = None
        penalty(Linear(weight, 0.0), pair(0.0, 1.0), pair(1.0, 1.0)).backward()
        norm = math.sqrt(12) * 0.5
        assert weight.grad.item() == pytest.approx(2 * (norm - 1) * math.sqrt(12))
