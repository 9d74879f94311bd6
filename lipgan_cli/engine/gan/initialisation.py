"""How the weights of a network are drawn before training."""

from __future__ import annotations

from typing import Literal

from torch import nn

from lipgan_cli.engine.config import Initialisation


def initialise(network: nn.Module, how: Initialisation) -> None:
    """Draw the weights of convolutions anew; `torch` leaves them as they were made.

    normal: N(0, 0.02), Radford et al. 2015 (arXiv:1511.06434); xavier: Glorot and Bengio 2010;
    he: He et al. 2015 (arXiv:1502.01852) for ReLU. Biases become zero.
    """
    if how is Initialisation.TORCH:
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            match how:
                case Initialisation.NORMAL:
                    nn.init.normal_(module.weight, 0.0, 0.02)
                case Initialisation.XAVIER:
                    nn.init.xavier_normal_(module.weight)
                case Initialisation.HE:
                    # A transposed convolution's weights stand the other way round.
                    turned = isinstance(module, nn.ConvTranspose2d)
                    mode: Literal["fan_in", "fan_out"] = "fan_out" if turned else "fan_in"
                    nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
