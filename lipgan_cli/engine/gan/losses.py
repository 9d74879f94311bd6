"""The loss strategies: what critic and generator minimise. One small class and one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lipgan_cli.engine.config import OptimizerConfig, Variant
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.penalties import Penalty
from lipgan_cli.engine.gan.readouts import Readout

Terms = dict[str, Tensor]
"""Named scalars that add up to a loss; the names appear in the training log."""

Verdict = Callable[[], Tensor]
"""Asks the critic for its judgement (B,) of the generated faces with the true sound."""


class Loss(Protocol):
    """A strategy: its terms, its readout, its schedule and its penalty.

    The core adds the terms, takes the steps and logs them; a strategy holds no state.
    """

    @property
    def readout(self) -> Readout | None:
        """How embeddings become judgements; None for a strategy without a critic."""

    @property
    def critic_steps(self) -> int:
        """Critic steps for every generator step, at least 1."""

    @property
    def penalty(self) -> Penalty | None:
        """The critic's gradient penalty, if it has one."""

    @property
    def penalty_weight(self) -> float:
        """What the penalty is multiplied by (lambda)."""

    @property
    def optimizer(self) -> OptimizerConfig:
        """Adam's parameters that go with this strategy, for both networks."""

    def critic(self, real: Tensor, fake: Tensor) -> Terms:
        """The critic's terms from its judgements (B,) of real and of fake pairs."""

    def generator(self, l1: Tensor, verdict: Verdict) -> Terms:
        """The generator's terms; a strategy that needs no verdict does not pay for one."""


@dataclass(frozen=True)
class Reconstruction:
    """L1 alone, without a critic: the control that every other strategy is held against."""

    readout: Readout | None = None
    critic_steps: int = 1
    penalty: Penalty | None = None
    penalty_weight: float = 0.0
    optimizer: OptimizerConfig = OptimizerConfig(1e-3, 0.5, 0.999)

    def critic(self, real: Tensor, fake: Tensor) -> Terms:
        return {}

    def generator(self, l1: Tensor, verdict: Verdict) -> Terms:
        return {"l1": l1}


@dataclass(frozen=True)
class Contrastive:
    """LipGAN: real pairs are pulled together, fake ones pushed apart up to a margin.

    KR et al. 2019 (arXiv:2003.00418) and thesis equations 3.16 and 3.21, with the critic
    minimising: L_D = (L_real + L_fake) / 2, L_real = sum(d^2) / 2N and
    L_fake = sum(max(0, margin - d)^2) / 2N. Generator: L1 + weight * L_real of its own faces.
    """

    margin: float = 2.0
    weight: float = 0.01
    readout: Readout | None = readouts.distance
    critic_steps: int = 1
    penalty: Penalty | None = None
    penalty_weight: float = 0.0
    optimizer: OptimizerConfig = OptimizerConfig(1e-3, 0.5, 0.999)

    def critic(self, real: Tensor, fake: Tensor) -> Terms:
        return {
            "real": (real**2).mean() / 4,
            "fake": ((self.margin - fake).clamp(min=0) ** 2).mean() / 4,
        }

    def generator(self, l1: Tensor, verdict: Verdict) -> Terms:
        return {
            "l1": l1,
            "contrastive": self.weight * (verdict() ** 2).mean() / 2,
        }


@dataclass(frozen=True)
class Wasserstein:
    """WGAN-GP: the critic's gap between real and fake estimates a distance of distributions.

    Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1: critic mean(fake) - mean(real) +
    lambda * penalty; generator -mean(fake).
    """

    readout: Readout | None = readouts.joint
    critic_steps: int = 5
    penalty: Penalty | None = penalties.interpolated
    penalty_weight: float = 10.0
    optimizer: OptimizerConfig = OptimizerConfig(1e-4, 0.5, 0.9)

    def critic(self, real: Tensor, fake: Tensor) -> Terms:
        return {"real": -real.mean(), "fake": fake.mean()}

    def generator(self, l1: Tensor, verdict: Verdict) -> Terms:
        return {"critic": -verdict().mean()}


@dataclass(frozen=True)
class L1Wasserstein(Wasserstein):
    """The thesis's L1WGAN-GP: a Wasserstein critic beside a generator trained by L1 alone.

    No gradient of the critic reaches the generator (thesis section 3.5): it is L1 training with
    this strategy's optimiser and schedule.
    """

    def generator(self, l1: Tensor, verdict: Verdict) -> Terms:
        return {"l1": l1}


STRATEGIES: Mapping[Variant, Loss] = {
    Variant.LIPGAN: Contrastive(),
    Variant.WGAN_GP: Wasserstein(),
    Variant.L1WGAN_GP: L1Wasserstein(),
    Variant.L1: Reconstruction(),
}
