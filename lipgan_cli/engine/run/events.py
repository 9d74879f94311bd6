"""A run's figures as TensorBoard's event files, for those who have TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.run.figures import numbers

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Events:
    """Open event files; a figure's tag is its name, `evaluation/s1/right` inside an evaluation."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def write(self, iteration: int, values: Mapping[str, Any]) -> None:
        """Add the figures of an iteration, and of an evaluation at once for all to see."""
        for name, value in numbers(values):
            self._writer.add_scalar("/".join(name), value, iteration)


@contextmanager
def open_events(run: Path, first: int) -> Iterator[Events]:
    """Write events into the folder `tensorboard` of a run; older ones after `first` are hidden.

    Raises:
        InputError: TensorBoard is not installed.
    """
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run / "tensorboard"), purge_step=first + 1) as writer:
        yield Events(writer)


def check_tensorboard() -> None:
    """Check that event files can be written.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"TensorBoard cannot be used: {error}", "pip install 'lipgan-cli[tensorboard]'"
        ) from error
