"""The processes of `lipgan_cli.engine.workers`, for modules of this package."""

from __future__ import annotations

from lipgan_cli.engine.workers import Failed as Failed
from lipgan_cli.engine.workers import work as work
