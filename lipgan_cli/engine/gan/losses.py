"""The loss strategies: what critic and generator minimise. One small class and one row each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lipgan_cli.engine.config import OptimizerConfig, Variant
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.penalties import Pair, Penalty
from lipgan_cli.engine.gan.readouts import Readout

Terms = dict[str, Tensor]
"""Named scalars that add up to a loss; the names appear in the training log."""


class Judged(NamedTuple):
    """Pairs and the critic's judgement of them, (B,)."""

    pair: Pair
    score: Tensor


class Attempt(Protocol):
    """What the generator made, and what may be asked about it: nothing unasked is computed."""

    @property
    def l1(self) -> Tensor:
        """The mouth-weighted L1 distance of the generated faces from the true ones, a scalar."""

    @property
    def generated(self) -> Pair:
        """The generated faces with their true sound."""

    def fake(self) -> Judged:
        """The same with the critic's judgement."""

    def real(self) -> Judged:
        """The true faces with the same sound."""

    def sync(self) -> Tensor:
        """The lip-sync expert's loss of each window of generated faces, (B / 5,)."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What every strategy has, and the control: L1 alone, without a critic.

    The core adds the terms, takes the steps and logs them; a strategy holds no state.

    Attributes:
        readout: how the critic's embeddings become judgements; None is no critic.
        critic_steps: critic steps for every generator step, at least 1.
        penalty: the critic's gradient penalty, if it has one.
        penalty_weight: what the penalty is multiplied by (lambda).
        clip: bound of the critic's weights after each step; 0 is none.
        optimizer: Adam's parameters, for both networks.
        l1_weight: of the reconstruction in the generator's loss; 0 leaves it out.
        critic_weight: of the critic's part in the generator's loss; 0 leaves it out.
        expert_weight: of the lip-sync expert's part in the generator's loss; 0 leaves it out.
    """

    readout: Readout | None = None
    critic_steps: int = 1
    penalty: Penalty | None = None
    penalty_weight: float = 0.0
    clip: float = 0.0
    optimizer: OptimizerConfig = OptimizerConfig(1e-3, 0.5, 0.999)
    l1_weight: float = 1.0
    critic_weight: float = 0.0
    expert_weight: float = 0.0

    def critic(self, real: Judged, fake: Judged) -> Terms:
        """The critic's terms; those that fake pairs decide are called `fake`."""
        return {}

    def adversarial(self, attempt: Attempt) -> Tensor:
        """The critic's part in the generator's loss, unweighted."""
        raise NotImplementedError

    def generator(self, attempt: Attempt) -> Terms:
        """The generator's terms; what has no weight is not computed."""
        terms = {}
        if self.l1_weight:
            terms["l1"] = self.l1_weight * attempt.l1
        if self.critic_weight:
            terms["critic"] = self.critic_weight * self.adversarial(attempt)
        if self.expert_weight:
            terms["expert"] = self.expert_weight * attempt.sync().mean()
        return terms


@dataclass(frozen=True, kw_only=True)
class Contrastive(Loss):
    """LipGAN: real pairs are pulled together, fake ones pushed apart up to a margin.

    KR et al. 2019 (arXiv:2003.00418) and thesis equations 3.16 and 3.21, with the critic
    minimising: L_D = (L_real + L_fake) / 2, L_real = sum(d^2) / 2N and
    L_fake = sum(max(0, margin - d)^2) / 2N. Generator: L1 + weight * L_real of its own faces.
    """

    margin: float = 2.0
    readout: Readout | None = readouts.distance
    critic_weight: float = 0.01

    def critic(self, real: Judged, fake: Judged) -> Terms:
        return {
            "real": (real.score**2).mean() / 4,
            "fake": ((self.margin - fake.score).clamp(min=0) ** 2).mean() / 4,
        }

    def adversarial(self, attempt: Attempt) -> Tensor:
        return (attempt.fake().score ** 2).mean() / 2


@dataclass(frozen=True, kw_only=True)
class Wasserstein(Loss):
    """The critic's gap between real and fake estimates a distance of distributions.

    Arjovsky et al. 2017 (arXiv:1701.07875), equation 2: critic mean(fake) - mean(real); generator
    -mean(fake). What keeps the critic's slope in bounds makes the members of the family:
    a penalty (WGAN-GP, Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1) or clipped weights.
    """

    readout: Readout | None = readouts.joint
    critic_steps: int = 5
    penalty: Penalty | None = penalties.interpolated
    penalty_weight: float = 10.0
    optimizer: OptimizerConfig = OptimizerConfig(1e-4, 0.5, 0.9)
    l1_weight: float = 0.0
    critic_weight: float = 1.0

    def critic(self, real: Judged, fake: Judged) -> Terms:
        return {"real": -real.score.mean(), "fake": fake.score.mean()}

    def adversarial(self, attempt: Attempt) -> Tensor:
        return -attempt.fake().score.mean()


@dataclass(frozen=True, kw_only=True)
class Transport(Wasserstein):
    """c-transform WGAN: the critic's value on fakes follows from that on reals, by a cost.

    Mallasto et al. 2019 (arXiv:1910.03875), the c-transform and the (c, epsilon)-transform: the
    dual maximises mean(f(x)) + mean(f^c(y)) with f^c(y) = min_i (c(x_i, y) - f(x_i)), so that no
    penalty is needed; the generator minimises mean(f^c(y)). With epsilon > 0 the minimum is the
    soft one of entropic transport, -eps * log(mean_i exp((f(x_i) - c(x_i, y)) / eps)).
    """

    epsilon: float = 0.0
    penalty: Penalty | None = None
    penalty_weight: float = 0.0

    def critic(self, real: Judged, fake: Judged) -> Terms:
        return {"real": -real.score.mean(), "fake": -self.transform(real, fake.pair).mean()}

    def adversarial(self, attempt: Attempt) -> Tensor:
        return self.transform(attempt.real(), attempt.generated).mean()

    def transform(self, real: Judged, fake: Pair) -> Tensor:
        """The critic's c-transform at each fake pair, (B,)."""
        reach = transport_cost(real.pair, fake) - real.score[:, None]  # (real, fake)
        if not self.epsilon:
            return reach.amin(0)
        soft = torch.logsumexp(-reach / self.epsilon, 0) - math.log(len(reach))
        return -self.epsilon * soft


def transport_cost(real: Pair, fake: Pair) -> Tensor:
    """The distance of every real from every fake pair, (B, B): in faces and in sound.

    c = sqrt(|S - S'|^2 / n_S + |A - A'|^2 / (64 n_A)), the root mean square difference of the
    pixels in [0, 1] and of the mel scaled to an eighth, its range. The sound is in it, else a face
    could be carried to the face of another sound at no cost, and the critic would be blind to sync.
    """
    faces = _distances(real.faces, fake.faces) ** 2
    sound = _distances(real.mel, fake.mel) ** 2
    mean = faces / real.faces[0].numel() + sound / (64 * real.mel[0].numel())
    return (mean + 1e-12).sqrt()  # the root has no slope at 0


def _distances(one: Tensor, other: Tensor) -> Tensor:
    # By products of matrices, small distances would be lost in rounding.
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(one.flatten(1), other.flatten(1), compute_mode=exact)


@dataclass(frozen=True, kw_only=True)
class Adversarial(Loss):
    """GAN: the critic's judgement is the logit of being real, and the generator plays against it.

    Goodfellow et al. 2014 (arXiv:1406.2661), equation 1: critic -log D(real) - log(1 - D(fake));
    generator log(1 - D(fake)). Adam as in Radford et al. 2015 (arXiv:1511.06434).
    """

    readout: Readout | None = readouts.joint
    optimizer: OptimizerConfig = OptimizerConfig(2e-4, 0.5, 0.999)
    l1_weight: float = 0.0
    critic_weight: float = 1.0

    def critic(self, real: Judged, fake: Judged) -> Terms:
        return {"real": softplus(-real.score).mean(), "fake": softplus(fake.score).mean()}

    def adversarial(self, attempt: Attempt) -> Tensor:
        return -softplus(attempt.fake().score).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(Adversarial):
    """GAN whose generator maximises log D(fake): Goodfellow et al. 2014, end of section 3."""

    def adversarial(self, attempt: Attempt) -> Tensor:
        return softplus(-attempt.fake().score).mean()


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Adversarial):
    """LSGAN: Mao et al. 2017 (arXiv:1611.04076), equation 9, labels 1 for real and 0 for fake."""

    def critic(self, real: Judged, fake: Judged) -> Terms:
        return {"real": ((real.score - 1) ** 2).mean() / 2, "fake": (fake.score**2).mean() / 2}

    def adversarial(self, attempt: Attempt) -> Tensor:
        return ((attempt.fake().score - 1) ** 2).mean() / 2


STRATEGIES: Mapping[Variant, Loss] = {
    Variant.L1: Loss(),
    Variant.LIPGAN: Contrastive(),
    Variant.WGAN_GP: Wasserstein(),
    # No gradient of the critic reaches this generator (thesis, section 3.5).
    Variant.L1WGAN_GP: Wasserstein(l1_weight=1.0, critic_weight=0.0),
    # A 1-Lipschitz critic pulls a sample with slope 1, mean L1 with 1 / sqrt(27648) = 0.006.
    Variant.WGAN_GP_L1: Wasserstein(l1_weight=100.0),
    Variant.WGAN_LP: Wasserstein(penalty=penalties.one_sided),
    Variant.WGAN_DIV: Wasserstein(penalty=penalties.sixth_power, penalty_weight=2.0),
    Variant.WGAN_C: Transport(),
    Variant.WGAN_C_EPS: Transport(epsilon=0.01),
    # RMSprop, which the paper asks for, is Adam without momentum.
    Variant.WGAN: Wasserstein(
        penalty=None, penalty_weight=0.0, clip=0.01, optimizer=OptimizerConfig(5e-5, 0.0, 0.99)
    ),
    Variant.LSGAN: LeastSquares(),
    Variant.GAN: Adversarial(),
    Variant.NSGAN: NonSaturating(),
    Variant.DRAGAN: NonSaturating(penalty=penalties.around_real, penalty_weight=10.0),
    # Prajwal et al. 2020 (arXiv:2008.10010). Their weight, 0.03, is for -log of a cosine; the loss
    # here is a softmax's, would outweigh L1 with it and be fooled (docs/experiments.md).
    Variant.EXPERT: Loss(expert_weight=0.001),
    Variant.LIPGAN_EXPERT: Contrastive(expert_weight=0.001),
}
