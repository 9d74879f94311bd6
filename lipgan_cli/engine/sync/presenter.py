"""Who is to speak: all that can be known of a recording before a speech is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.label import Stamp
from lipgan_cli.engine.media.landmarks import Landmarks, SteadyLandmarks, installed_landmarks
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.generators import find_model
from lipgan_cli.engine.sync.options import SyncOptions
from lipgan_cli.engine.sync.painter import Face, Painter, resting
from lipgan_cli.engine.sync.speech import Speech
from lipgan_cli.engine.sync.stopwatch import Stopwatch
from lipgan_cli.engine.sync.survey import Survey, find_speaker

if TYPE_CHECKING:
    from lipgan_cli.engine.gan.inference import Animator


@dataclass(frozen=True, eq=False)
class Presenter:
    """A face in its footage, and the network that lets it speak."""

    footage: Footage
    found: Survey
    surveyed: int  # frames in which the faces were sought
    network: Animator
    resting: tuple[Face | None, ...]  # of each run: its mouth at rest
    landmarks: Landmarks | None  # that the mask follows

    @property
    def face_pixels(self) -> int:
        """Median side of the square that is painted."""
        return round(float(np.nanmedian(self.found.film.squares[:, 2])))

    def painter(
        self, speech: Speech, options: SyncOptions, watch: Stopwatch, again: bool = False
    ) -> Painter:
        """Return what paints this face speaking a speech; again: others will be spoken too."""
        return Painter(
            footage=self.footage,
            film=self.found.film,
            speech=speech,
            galleries=self.found.galleries,
            resting=self.resting,
            network=self.network,
            landmarks=None if self.landmarks is None else SteadyLandmarks(self.landmarks),
            blend=Blend(options.blend),
            batch=options.batch,
            watch=watch,
            stamp=self._stamp(options),
            again=again,
        )

    def _stamp(self, options: SyncOptions) -> Stamp | None:
        label, info = options.marks.drawn, self.footage.info
        if label is None:
            return None
        return label.stamp(info.width, info.height, full_range=info.colour.range == 2)


def meet(
    footage: Footage,
    frames: int,
    options: SyncOptions,
    watch: Stopwatch,
    progress: Progress,
    remembered_bytes: int | None = None,
) -> Presenter:
    """Find who speaks in the first `frames` frames of a footage, and load the network meanwhile.

    remembered_bytes: most that the network keeps of faces it has encoded; None: its own limit.

    Raises:
        InputError: there is no face, or the weights cannot be used.
    """
    with ThreadPoolExecutor(thread_name_prefix="meet") as pool:
        network = pool.submit(_network, options, remembered_bytes)
        landmarks = pool.submit(_landmarks, Blend(options.blend))
        with watch.step("find the faces"):
            found = find_speaker(footage, frames, options, progress)
        if found.film.frames < min(frames, footage.clock.frames):  # fewer could be decoded
            footage = footage.part(0, found.film.frames)
        with watch.step("wait for the network"):
            loaded = network.result()
        with watch.step("find mouths at rest"):
            rest = resting(found.film, found.galleries, loaded)
        return Presenter(footage, found, frames, loaded, rest, landmarks.result())


def _network(options: SyncOptions, remembered_bytes: int | None) -> Animator:
    """Load the network; torch is loaded here, beside the search for faces."""
    from lipgan_cli.engine.gan.device import choose_device, share_cores
    from lipgan_cli.engine.gan.inference import FEATURES_BYTES, Animator

    share_cores()
    weights = None if options.weights is None else find_model(options.weights)
    room = FEATURES_BYTES if remembered_bytes is None else remembered_bytes
    return Animator.load(weights, choose_device(options.device), remembered_bytes=room)


def _landmarks(blend: Blend) -> Landmarks | None:
    """Return what the mask follows, where it is of use and installed."""
    return installed_landmarks() if blend is Blend.FEATHER else None
