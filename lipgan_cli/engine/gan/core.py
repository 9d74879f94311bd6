"""The one GAN core: takes a training step for whatever strategy it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.gan.average import Average
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.critic import Critic
from lipgan_cli.engine.gan.device import fast_bf16
from lipgan_cli.engine.gan.expert import FRAMES, Expert, sync_loss
from lipgan_cli.engine.gan.generator import SIDE, Generator, face_input
from lipgan_cli.engine.gan.initialisation import initialise
from lipgan_cli.engine.gan.losses import Judged, Loss, Terms
from lipgan_cli.engine.gan.penalties import Judge, Pair
from lipgan_cli.engine.gan.world import World
from lipgan_cli.engine.metrics.image import mouth_region, ssim

SSIM_FACES = 2
"""Faces of a batch whose SSIM is logged: it is computed on the CPU, one by one."""


class Core:
    """Generator, critic and their optimisers, moved one iteration at a time.

    An iteration is one critic step; every `critic_steps` of them the generator steps too. The
    outcome depends on the weights, the batch and the iteration's number alone: randomness is
    seeded anew each time, so that a resumed run equals one that never stopped. Several processes
    each bring their own share of a batch and take the same step.

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
        expert: Expert | None = None,
        world: World | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.loss = loss
        self.config = config
        self.device = device
        self.iterations = iterations
        self.world = world or World()
        half = config.half_precision
        self.half_precision = fast_bf16(device) if half is None else half
        self.generator = (generator or _new_generator(config)).to(device)
        # On Apple's MPS the backward pass of batch norm is wrong in this layout.
        self.layout = torch.preserve_format if device.type == "mps" else torch.channels_last
        self.generator.to(memory_format=self.layout)
        self.critic = (critic or _new_critic(config)).to(device) if loss.readout else None
        self.expert = expert.to(device) if expert and loss.expert_weight else None
        self.average = Average(self.generator, config.ema)
        adam = loss.optimizer
        self.optimizers = {
            name: Adam(network.parameters(), adam.learning_rate, (adam.beta1, adam.beta2))
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
        return self.average.generator

    def networks(self) -> dict[str, nn.Module]:
        """The networks under training, by name."""
        networks = {"generator": self.generator, "critic": self.critic}
        return {name: network for name, network in networks.items() if network is not None}

    def step(self, batch: Batch, iteration: int, watch: bool = False) -> dict[str, Tensor]:
        """Take iteration number `iteration` (from 0) and return the named figures of it.

        Figures stay on the device, so that a step need not wait for them. `watch` adds those
        that cost more: the critic's loss on either kind of fake pair, gradient norms, SSIM.
        """
        torch.manual_seed(self.config.seed * 1_000_003 + iteration)
        false_face = bool(torch.rand(()) < 0.5)  # alike in all processes
        torch.manual_seed((self.config.seed * 1_000_003 + iteration) * 4099 + self.world.rank)
        figures = self._set_learning_rate(iteration)
        parts = batch.to(self.device).parts(self.config.accumulate)
        generator_turn = (iteration + 1) % self.loss.critic_steps == 0
        painted: list[Tensor | None] = [None] * len(parts)
        if self.critic:
            if false_face or watch:
                # One part alone is painted once for both steps; parts are painted again, since
                # keeping all their graphs would cost the memory that they are there to save.
                keep = generator_turn and len(parts) == 1
                painted = [self._paint(part, keep) for part in parts]
            if watch:
                figures |= self._watch_critic(parts[0], painted[0])
            figures |= self._critic_step(parts, painted, false_face)
            if watch:
                figures["gradient_critic"] = _gradient_norm(self.critic)
        if generator_turn:
            if len(parts) > 1 or painted[0] is None:
                painted = [None] * len(parts)
            figures |= self._generator_step(parts, painted, watch)
        return figures

    def _paint(self, part: Batch, graph: bool) -> Tensor:
        """The generator's faces, (B, 3, 96, 96); without a graph it is left as it was."""
        faces = face_input(part.reference, part.target).clone(memory_format=self.layout)
        with torch.set_grad_enabled(graph), _statistics(self.generator, graph), self._autocast():
            painted: Tensor = self.generator(faces, part.mel)
        return painted.to(part.target.dtype).contiguous()

    def _critic_step(
        self, parts: Sequence[Batch], painted: Sequence[Tensor | None], false_face: bool
    ) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        self.optimizers["critic"].zero_grad(set_to_none=True)
        for part, faces in zip(parts, painted, strict=True):
            real = Pair(part.target, part.mel)
            fake = Pair(part.target, part.unsynced)
            if false_face and faces is not None:
                fake = Pair(faces.detach(), part.mel)
            terms = self._critic_terms(part, real, fake)
            if self.loss.penalty:
                # The penalty differentiates twice, which asks for full precision.
                penalty = self.loss.penalty(partial(self._judge, part, half=False), real, fake)
                terms["penalty"] = self.loss.penalty_weight * penalty
            _descend(terms, len(parts), sums)
        self._move("critic")
        return _figures("critic", sums)

    def _critic_terms(self, part: Batch, real: Pair, fake: Pair) -> Terms:
        on_real, on_fake = self._judge_all(part, [real, fake])
        return self.loss.critic(Judged(real, on_real), Judged(fake, on_fake))

    def _watch_critic(self, part: Batch, faces: Tensor | None) -> dict[str, Tensor]:
        """The fake term for either kind of fake pair, whichever of them moves the critic."""
        assert faces is not None
        real = Pair(part.target, part.mel)
        kinds = {
            "critic_face": Pair(faces.detach(), part.mel),
            "critic_audio": Pair(part.target, part.unsynced),
        }
        with torch.no_grad():
            return {
                name: self._critic_terms(part, real, fake)["fake"] for name, fake in kinds.items()
            }

    def _generator_step(
        self, parts: Sequence[Batch], painted: Sequence[Tensor | None], watch: bool
    ) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        self.optimizers["generator"].zero_grad(set_to_none=True)
        critic_parameters = list(self.critic.parameters()) if self.critic else []
        _require_gradients(critic_parameters, False)
        for part, faces in zip(parts, painted, strict=True):
            if faces is None:
                faces = self._paint(part, graph=True)
            attempt = self._attempt(part, faces)
            _descend(self.loss.generator(attempt), len(parts), sums)
        _require_gradients(critic_parameters, True)
        self._move("generator")
        self.average.update(self.generator)
        assert faces is not None
        figures = _figures("generator", sums) | {"l1": attempt.l1.detach()}
        if watch:
            figures["gradient_generator"] = _gradient_norm(self.generator)
            figures["ssim"] = _ssim(faces.detach(), part.target)
        error = ((faces.detach() - part.target) ** 2).mean((1, 2, 3))
        psnr = (-10 * torch.log10(error.clamp(min=1e-10))).mean()
        return figures | {"psnr": psnr}

    def _attempt(self, part: Batch, faces: Tensor) -> _Attempt:
        return _Attempt(
            l1=((faces - part.target).abs() * self.pixel_weights).mean(),
            generated=Pair(faces, part.mel),
            true=Pair(part.target, part.mel),
            judge=partial(self._judge, part),
            sync=partial(self._sync, part, faces),
        )

    def _sync(self, part: Batch, faces: Tensor) -> Tensor:
        assert self.expert is not None
        windows = faces.view(-1, FRAMES, *faces.shape[1:])  # (B / 5, 5, 3, 96, 96)
        middle = slice(FRAMES // 2, None, FRAMES)
        with self._autocast():
            return sync_loss(self.expert, windows, part.mel[middle], part.unsynced[middle])

    def _judge(self, part: Batch, pair: Pair, half: bool = True) -> Tensor:
        return self._judge_all(part, [pair], half)[0]

    def _judge_all(self, part: Batch, pairs: Sequence[Pair], half: bool = True) -> list[Tensor]:
        """The critic's judgement of each pair, (B,); faces or sound that they share go in once."""
        assert self.critic is not None and self.loss.readout is not None
        exact = part.mel.dtype
        with self._autocast(half):
            faces = _once(partial(self._embed_faces, part), [pair.faces for pair in pairs])
            sounds = _once(self.critic.audio, [pair.mel for pair in pairs])
        return [
            self.loss.readout(face.flatten(1).to(exact), sound.flatten(1).to(exact))
            for face, sound in zip(faces, sounds, strict=True)
        ]

    def _embed_faces(self, part: Batch, faces: Tensor) -> Tensor:
        assert self.critic is not None
        if self.config.critic_reference:
            times = len(faces) // len(part.reference)
            faces = torch.cat([faces, part.reference.repeat(times, 1, 1, 1)], 1)
        embedded: Tensor = self.critic.face(faces)
        return embedded

    def _move(self, name: str) -> None:
        network = self.networks()[name]
        self.world.average_gradients(network)
        self.optimizers[name].step()
        if name == "critic" and self.loss.clip:
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.clamp_(-self.loss.clip, self.loss.clip)

    def _autocast(self, half: bool = True) -> AbstractContextManager[None]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=half and self.half_precision
        )

    def _set_learning_rate(self, iteration: int) -> dict[str, Tensor]:
        """Raise the rate at the beginning and let it fall at the end, both in a straight line."""
        config = self.config
        factor = 1.0
        if config.warmup:
            factor = min(1.0, (iteration + 1) / config.warmup)
        if config.decay:
            left = (self.iterations - iteration) / self.iterations
            factor = min(factor, left / config.decay)
        rate = self.loss.optimizer.learning_rate * factor
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        return {"learning_rate": torch.tensor(rate)}


@dataclass(frozen=True)
class _Attempt:
    """What the generator made of a part of a batch: see `losses.Attempt`."""

    l1: Tensor
    generated: Pair
    true: Pair
    judge: Judge
    sync: Callable[[], Tensor]

    def fake(self) -> Judged:
        return Judged(self.generated, self.judge(self.generated))

    def real(self) -> Judged:
        return Judged(self.true, self.judge(self.true))


def _new_generator(config: TrainConfig) -> Generator:
    generator = Generator(config.width)
    initialise(generator, config.initialisation)
    for module in _norms(generator):
        module.momentum = config.norm_momentum
        module.train(not config.frozen_norm)
    return generator


def _new_critic(config: TrainConfig) -> Critic:
    critic = Critic(config.width, config.critic_norm, config.critic_reference)
    initialise(critic, config.initialisation)
    return critic


def _norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


@contextmanager
def _statistics(network: nn.Module, kept: bool) -> Iterator[None]:
    """Let the running statistics of batch norm follow what is computed inside, or not."""
    for module in _norms(network):
        module.track_running_stats = kept
    yield
    for module in _norms(network):
        module.track_running_stats = True


def _descend(terms: Terms, parts: int, sums: dict[str, Tensor]) -> None:
    """Add the gradients of one part's terms, and the terms themselves to `sums`."""
    torch.autograd.backward(torch.stack(list(terms.values())).sum() / parts)
    for name, term in terms.items():
        sums[name] = sums.get(name, term.new_zeros(())) + term.detach() / parts


def _once(embed: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> list[Tensor]:
    """Embed every different batch of some, all in one go; one that is there twice goes in once."""
    different = list({id(batch): batch for batch in batches}.values())
    embedded = embed(torch.cat(different)).chunk(len(different))
    places = {id(batch): one for batch, one in zip(different, embedded, strict=True)}
    return [places[id(batch)] for batch in batches]


def _gradient_norm(network: nn.Module) -> Tensor:
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.cat(gradients))
    return norm


def _require_gradients(parameters: Iterable[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)


def _ssim(generated: Tensor, true: Tensor) -> Tensor:
    """The mean over the first few faces, each compared as 8-bit pictures."""
    one, other = (
        (faces[:SSIM_FACES].float() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for faces in (generated, true)
    )
    return torch.tensor([ssim(a, b) for a, b in zip(one, other, strict=True)]).mean()


def _figures(side: str, terms: Terms) -> dict[str, Tensor]:
    figures = {f"{side}_{name}": term for name, term in terms.items()}
    return {f"{side}_loss": torch.stack(list(terms.values())).sum()} | figures
