"""The one GAN core: takes a training step for whatever strategy it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.gan.critic import Critic
from lipgan_cli.engine.gan.device import fast_bf16
from lipgan_cli.engine.gan.generator import SIDE, Generator, face_input
from lipgan_cli.engine.gan.losses import Loss, Terms
from lipgan_cli.engine.gan.penalties import Pair
from lipgan_cli.engine.metrics.image import mouth_region


@dataclass(frozen=True)
class Batch:
    """Training samples: RGB faces (B, 3, 96, 96), mel windows (B, 1, 80, 27).

    Faces are uint8 as they are loaded, and in [0, 1] once they are on a device.
    """

    reference: Tensor
    target: Tensor
    mel: Tensor
    unsynced: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on `device`, as float: bytes travel there, a quarter of what floats are."""
        tensors = (self.reference, self.target, self.mel, self.unsynced)
        there = (tensor.to(device, non_blocking=True) for tensor in tensors)
        return Batch(*(x.float() / 255 if x.dtype == torch.uint8 else x for x in there))


class Core:
    """Generator, critic and their optimisers, moved one iteration at a time.

    An iteration is one critic step; every `critic_steps` of them the generator steps too. The
    outcome depends on the weights, the batch and the iteration's number alone: randomness is
    seeded anew each time, so that a resumed run equals one that never stopped.

    The generator computes channels last; the critic does not, since instance norm would copy
    its maps back and forth (measured: a fifth slower on a CPU).
    """

    def __init__(
        self,
        loss: Loss,
        config: TrainConfig,
        iterations: int,
        device: torch.device,
        generator: Generator | None = None,
        critic: Critic | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.loss = loss
        self.device = device
        self.iterations = iterations
        self.seed = config.seed
        self.decay = config.decay
        half = config.half_precision
        self.half_precision = fast_bf16(device) if half is None else half
        self.generator = (generator or Generator(config.width)).to(device)
        # On Apple's MPS the backward pass of batch norm is wrong in this layout.
        self.layout = torch.preserve_format if device.type == "mps" else torch.channels_last
        self.generator.to(memory_format=self.layout)
        self.critic = (critic or Critic(config.width)).to(device) if loss.readout else None
        self.average = AveragedModel(
            self.generator, multi_avg_fn=_moving_average(config.ema), use_buffers=True
        )
        adam = loss.optimizer
        self.learning_rate = config.learning_rate or adam.learning_rate
        self.optimizers = {
            name: Adam(network.parameters(), self.learning_rate, (adam.beta1, adam.beta2))
            for name, network in self.networks().items()
        }
        weights = torch.ones(SIDE, SIDE)
        weights[mouth_region(SIDE, SIDE)] = config.mouth_weight
        self.pixel_weights = (weights / weights.mean()).to(device)

    def start_from(self, generator: Generator) -> None:
        """Begin with another generator's weights."""
        for network in (self.generator, self.averaged):
            network.load_state_dict(generator.state_dict())

    @property
    def averaged(self) -> Generator:
        """The moving average of the generator, which is what a run is for."""
        averaged = self.average.module
        assert isinstance(averaged, nn.Module)
        return cast("Generator", averaged)

    def networks(self) -> dict[str, nn.Module]:
        """The networks under training, by name."""
        networks = {"generator": self.generator, "critic": self.critic}
        return {name: network for name, network in networks.items() if network is not None}

    def step(self, batch: Batch, iteration: int) -> dict[str, float]:
        """Take iteration number `iteration` (from 0) and return the named figures of it."""
        torch.manual_seed(self.seed * 1_000_003 + iteration)
        self._set_learning_rate(iteration)
        batch = batch.to(self.device)
        generator_turn = (iteration + 1) % self.loss.critic_steps == 0
        false_face = bool(torch.rand(()) < 0.5)
        figures: dict[str, float] = {}
        generated = None
        if generator_turn or (self.critic and false_face):
            with torch.set_grad_enabled(generator_turn), self._autocast():
                faces = face_input(batch.reference, batch.target)
                faces = faces.clone(memory_format=self.layout)
                generated = self.generator(faces, batch.mel).float().contiguous()
        if self.critic:
            if false_face and generated is not None:
                fake = Pair(generated.detach(), batch.mel)
            else:
                fake = Pair(batch.target, batch.unsynced)
            figures |= self._critic_step(Pair(batch.target, batch.mel), fake)
        if generator_turn and generated is not None:
            figures |= self._generator_step(generated, batch)
        return figures

    def _critic_step(self, real: Pair, fake: Pair) -> dict[str, float]:
        loss = self.loss
        both = Pair(*(torch.cat(sides) for sides in zip(real, fake, strict=True)))
        judgements = self._judge(both)
        on_real, on_fake = judgements.chunk(2)
        terms = loss.critic(on_real, on_fake)
        if loss.penalty:
            # The penalty differentiates twice, which asks for full precision.
            penalty = loss.penalty(lambda pair: self._judge(pair, half=False), real, fake)
            terms["penalty"] = loss.penalty_weight * penalty
        self._descend("critic", terms)
        return _figures("critic", terms)

    def _generator_step(self, generated: Tensor, batch: Batch) -> dict[str, float]:
        l1 = ((generated - batch.target).abs() * self.pixel_weights).mean()
        critic_parameters = list(self.critic.parameters()) if self.critic else []
        _require_gradients(critic_parameters, False)
        terms = self.loss.generator(l1, lambda: self._judge(Pair(generated, batch.mel)))
        self._descend("generator", terms)
        _require_gradients(critic_parameters, True)
        self.average.update_parameters(self.generator)
        error = ((generated.detach() - batch.target) ** 2).mean((1, 2, 3))
        psnr = (-10 * torch.log10(error.clamp(min=1e-10))).mean()
        return _figures("generator", terms) | {"l1": l1.item(), "psnr": psnr.item()}

    def _judge(self, pair: Pair, half: bool = True) -> Tensor:
        assert self.critic is not None and self.loss.readout is not None
        with self._autocast(half):
            face, audio = self.critic(*pair)
        return self.loss.readout(face.float(), audio.float())

    def _descend(self, name: str, terms: Terms) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        optimizer.step()

    def _autocast(self, half: bool = True) -> AbstractContextManager[None]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=half and self.half_precision
        )

    def _set_learning_rate(self, iteration: int) -> None:
        left = (self.iterations - iteration) / self.iterations
        factor = min(1.0, left / self.decay) if self.decay else 1.0
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * factor


def _moving_average(
    decay: float,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """An exponential moving average that forgets the first, random weights quickly."""

    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        new = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for kept, value in zip(average, current, strict=True):
            if kept.is_floating_point():
                kept.lerp_(value, new)
            else:
                kept.copy_(value)

    return update


def _require_gradients(parameters: Iterable[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)


def _figures(side: str, terms: Terms) -> dict[str, float]:
    figures = {f"{side}_{name}": term.item() for name, term in terms.items()}
    return {f"{side}_loss": sum(figures.values())} | figures
