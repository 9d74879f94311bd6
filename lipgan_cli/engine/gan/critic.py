"""The critic (discriminator): a face and a sound in, an embedding of each out.

Layer tables: Liljegren and Nordqvist (Lund 2021:E33, section 5.2.1), 10,337,152 parameters. There
is no batch norm in it, so it may stand under a gradient penalty.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from lipgan_cli.engine.gan.generator import WIDTH


def _layer(
    norm: bool, inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int], padding: int
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding),
        nn.InstanceNorm2d(outputs) if norm else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def _embedding(channels: int) -> nn.Conv2d:
    # Linear and without norm: an instance norm of a 1x1 map is undefined.
    return nn.Conv2d(channels, channels, 3, 1, 0)


class Critic(nn.Module):
    """Embeds faces and sounds in one space; a readout turns the pair into a judgement.

    Training calls its two sides, `face` and `audio`, each for what the pairs of a step have of it.

    The instance norm after the first convolution cancels contrast and most of the brightness:
    the critic hardly sees colour. For experiments the norm can be left out, and with `reference`
    its faces have six channels, the judged face and a reference of the same person.
    """

    def __init__(self, width: int = WIDTH, norm: bool = True, reference: bool = False) -> None:
        super().__init__()
        w, layer = width, partial(_layer, norm)
        self.reference = reference
        self.face = nn.Sequential(
            layer(6 if reference else 3, 2 * w, 7, 2, 3),  # 48
            layer(2 * w, 4 * w, 5, 2, 2),  # 24
            layer(4 * w, 8 * w, 3, 2, 1),  # 12
            layer(8 * w, 16 * w, 3, 2, 1),  # 6
            layer(16 * w, 16 * w, 3, 2, 1),  # 3
            _embedding(16 * w),  # 1
        )
        self.audio = nn.Sequential(
            layer(1, w, 3, 1, 1),  # 80 x 27
            layer(w, 2 * w, 3, 3, 1),  # 27 x 9
            layer(2 * w, 4 * w, 3, (3, 1), 1),  # 9 x 9
            layer(4 * w, 8 * w, 3, 3, 1),  # 3 x 3
            layer(8 * w, 16 * w, 3, 1, 1),  # 3 x 3
            _embedding(16 * w),  # 1 x 1
        )

    def forward(self, faces: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Embed faces (B, 3 or 6, 96, 96) in [0, 1] and mel (B, 1, 80, 27): two (B, 16 * width)."""
        return self.face(faces).flatten(1), self.audio(mel).flatten(1)
