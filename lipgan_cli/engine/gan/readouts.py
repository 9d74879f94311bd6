"""How a critic's two embeddings, of a face and of a sound, become one number a pair."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

Readout = Callable[[Tensor, Tensor], Tensor]
"""Face embedding (B, E) and sound embedding (B, E) to (B,)."""


def distance(face: Tensor, audio: Tensor) -> Tensor:
    """The distance of the unit-length embeddings, in [0, 2]; small where the two belong together.

    `vector_norm` has a subgradient at 0, where a perfect pair sits; a square root of a sum has
    none there.
    """
    apart: Tensor = vector_norm(normalize(face, dim=1) - normalize(audio, dim=1), dim=1)
    return apart


def closeness(face: Tensor, audio: Tensor) -> Tensor:
    """Minus the distance, for strategies whose critic is great where the two belong together."""
    return -distance(face, audio)


def joint(face: Tensor, audio: Tensor) -> Tensor:
    """The dot product, scaled by the square root of the size; great where they belong together."""
    return (face * audio).sum(1) / math.sqrt(face.shape[1])


def additive(face: Tensor, audio: Tensor) -> Tensor:
    """The mean over the concatenation, as the thesis has it (equation 3.14).

    It is f(face) + g(sound), so it cannot tell whether the two belong together.
    """
    return (face.mean(1) + audio.mean(1)) / 2
