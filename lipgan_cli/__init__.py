"""Make a filmed person speak a new audio track; train and compare lip-sync GANs.

from lipgan_cli import SyncOptions, sync

sync(SyncOptions(face="face.mp4", speech="speech.wav", output="out.mp4"))
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["SyncOptions", "SyncSummary", "__version__", "sync"]

if TYPE_CHECKING:
    from lipgan_cli.engine.sync import SyncOptions, SyncSummary, sync


def __getattr__(name: str) -> object:
    # Loaded when they are asked for: `lipgan --help` needs none of it.
    if name in __all__:
        return getattr(import_module("lipgan_cli.engine.sync"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
