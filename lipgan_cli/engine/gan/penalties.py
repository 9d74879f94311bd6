"""Gradient penalties: what keeps a critic's slope in bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Pair(NamedTuple):
    """Faces (B, 3, 96, 96) and the mel windows (B, 1, 80, 27) that they are judged against."""

    faces: Tensor
    mel: Tensor


Judge = Callable[[Pair], Tensor]
"""A critic with its readout: a pair to one number a sample, (B,)."""

Penalty = Callable[[Judge, Pair, Pair], Tensor]
"""Judge, real pair, fake pair to a scalar."""


def interpolated(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise slopes other than 1 at random points between the real and the fake pair.

    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3: mean((|grad D| - 1)^2), one mix a sample,
    gradient with respect to face and mel jointly. What the two pairs share does not move.
    """
    return ((_slopes(judge, _between(real, fake)) - 1) ** 2).mean()


def one_sided(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise slopes above 1 alone, at the same points.

    Petzka et al. 2018 (arXiv:1709.08894), the regulariser of WGAN-LP: mean(max(0, |grad D| - 1)^2).
    """
    return ((_slopes(judge, _between(real, fake)) - 1).clamp(min=0) ** 2).mean()


def sixth_power(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise every slope, by its sixth power, at the same points.

    Wu et al. 2018 (arXiv:1712.01026), the Wasserstein divergence with p = 6: mean(|grad D|^p).
    """
    return (_slopes(judge, _between(real, fake)) ** 6).mean()


def around_real(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise slopes other than 1 in the neighbourhood of the real pair.

    Kodali et al. 2017 (arXiv:1705.07215), the regulariser of DRAGAN:
    mean((|grad D(x + delta)| - 1)^2). The paper writes normal noise delta; its code, and this,
    draw it uniformly up to half the batch's standard deviation, here of faces and of mel.
    """
    near = Pair(*(_perturbed(values) for values in real))
    return ((_slopes(judge, near) - 1) ** 2).mean()


def at_fake(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise slopes other than 1 at the fake face, with respect to the face alone.

    As the thesis prints it: Liljegren and Nordqvist, Lund 2021:E33, equation 3.14.
    """
    faces = fake.faces.detach().requires_grad_()
    return ((_norms(judge(Pair(faces, fake.mel)), (faces,)) - 1) ** 2).mean()


def _between(real: Pair, fake: Pair) -> Pair:
    """A random point on the line from fake to real, one mix a sample."""
    mix = torch.rand(len(real.faces), 1, 1, 1, dtype=real.faces.dtype, device=real.faces.device)
    return Pair(
        *(mix * a.detach() + (1 - mix) * b.detach() for a, b in zip(real, fake, strict=True))
    )


def _perturbed(values: Tensor) -> Tensor:
    values = values.detach()
    return values + 0.5 * values.std() * torch.rand_like(values)


def _slopes(judge: Judge, pair: Pair) -> Tensor:
    """The norm of each sample's gradient with respect to face and mel jointly, (B,)."""
    inputs = Pair(*(values.requires_grad_() for values in pair))
    return _norms(judge(inputs), inputs)


def _norms(scores: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    gradients = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    norms: Tensor = torch.linalg.vector_norm(flat, dim=1)
    return norms
