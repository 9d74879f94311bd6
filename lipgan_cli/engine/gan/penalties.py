"""Gradient penalties: what keeps a Wasserstein critic close to 1-Lipschitz."""

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


def _squared_excess(gradients: tuple[Tensor, ...]) -> Tensor:
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    norms: Tensor = torch.linalg.vector_norm(flat, dim=1)
    return ((norms - 1) ** 2).mean()


def interpolated(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise gradients at random points between the real and the fake pair.

    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3: mean((|grad D| - 1)^2), one mix a sample,
    gradient with respect to face and mel jointly. What the two pairs share does not move.
    """
    mix = torch.rand(len(real.faces), 1, 1, 1, dtype=real.faces.dtype, device=real.faces.device)
    between = Pair(
        *(
            (mix * a.detach() + (1 - mix) * b.detach()).requires_grad_()
            for a, b in zip(real, fake, strict=True)
        )
    )
    score = judge(between).sum()
    return _squared_excess(torch.autograd.grad(score, between, create_graph=True))


def at_fake(judge: Judge, real: Pair, fake: Pair) -> Tensor:
    """Penalise gradients at the fake face, with respect to the face alone.

    As the thesis prints it: Liljegren and Nordqvist, Lund 2021:E33, equation 3.14.
    """
    faces = fake.faces.detach().requires_grad_()
    score = judge(Pair(faces, fake.mel)).sum()
    return _squared_excess(torch.autograd.grad(score, faces, create_graph=True))
