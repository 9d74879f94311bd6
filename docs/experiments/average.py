"""Average two trained generators: `python docs/experiments/average.py ONE OTHER OUT`.

The mean of all weights and of batch norm's statistics. It paints better than either where one was
trained on from the other, so that both lie in the same valley of the loss (arXiv 2203.05482).
"""

from __future__ import annotations

import sys
from pathlib import Path

from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.weights.converted import read_about


def main(one: Path, other: Path, output: Path) -> None:
    """Write the average."""
    ours, theirs = (load_generator(path).state_dict() for path in (one, other))
    for name, weight in ours.items():
        if weight.is_floating_point():
            weight.lerp_(theirs[name], 0.5)
    save_packed(ours, output, {**read_about(one), "averaged": True})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
