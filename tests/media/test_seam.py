"""The seam: across the mask's edge a picture changes as much as it does in the source."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.blend import Pixels, crop, paste
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.landmarks import PREDICTOR, Landmarks, find_model
from lipgan_cli.engine.media.mask import Place, Points, feather, in_crop
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.metrics.artefacts import seams


def spoken(originals: np.ndarray) -> np.ndarray:
    """Return the faces that the shipped network paints for silence."""
    import torch

    from lipgan_cli.engine.gan.inference import Animator

    animator = Animator.load(None, torch.device("cpu"), False)
    windows = np.full((len(originals), 80, 27), -4, np.float32)
    return animator.faces(originals[:1].repeat(len(originals), axis=0), originals, windows)


def enlarged(frame: Pixels, scale: int) -> Pixels:
    """Return a frame as a camera with more pixels would see it: sharp edges, and grain."""
    rgb = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420).astype(np.float32)
    large = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    large += 0.8 * (large - cv2.GaussianBlur(large, (0, 0), scale))
    large += np.random.default_rng(0).normal(0, 2.5, (*large.shape[:2], 1))
    rgb = np.clip(np.rint(large), 0, 255).astype(np.uint8)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)


def looked_at(frames: list[Pixels]) -> tuple[list[Place], list[Points] | None]:
    """Return the squares of a face, and its points where there is a model for them."""
    boxes = one_person(find_tracks(frames, HogDetector()))[:, :4]
    places = [faces.region(square) for square in faces.squares(boxes, 25)]
    model = find_model(PREDICTOR)
    if model is None:
        return places, None
    finder = Landmarks(model)
    return places, [
        in_crop(finder.points(luma(frame), (box[0], box[1], box[2], box[3])), place)
        for frame, box, place in zip(frames, boxes, places, strict=True)
    ]


def check(frames: list[Pixels]) -> None:
    places, points = looked_at(frames)
    originals = np.stack([crop(*both) for both in zip(frames, places, strict=True)])
    painted = spoken(originals)

    def measured(blend: Blend, masks: list[Points] | None) -> np.ndarray:
        out = []
        for index, (frame, place) in enumerate(zip(frames, places, strict=True)):
            result = frame.copy()
            followed = masks[index] if masks else None
            paste(result, place, painted[index], originals[index], blend, points=followed)
            hard = np.ones((96, 96), np.float32)
            weight = hard if blend is Blend.NONE else feather(followed)
            out.append(seams(frame, result, weight, place))
        return np.mean(out, axis=0)

    box = measured(Blend.NONE, None).mean()
    assert box > 1.35
    for masks in (None, points) if points else (None,):
        seam = measured(Blend.FEATHER, masks)
        assert 0.8 < seam.mean() < 1.2, seam
        assert (seam > 0.65).all(), seam
        assert (seam < 1.5).all(), seam  # the innermost outline passes lips that now move
        assert np.abs(seam - 1).mean() < 0.4 * (box - 1)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("clip", ["train/s1/bbaf2n.mp4", "train/s34/bbab9n.mp4"])
def test_no_seam_shows_on_a_real_face(grid_dir: Path, clip: str, scale: int) -> None:
    frames = list(islice(read_frames(probe(grid_dir / clip)), 10, 31, 20))
    check([enlarged(frame, scale) for frame in frames] if scale > 1 else frames)


def test_no_seam_shows_on_an_enlarged_portrait() -> None:
    from skimage.data import astronaut

    head = np.ascontiguousarray(astronaut()[20:260, 100:340])
    check([enlarged(cv2.cvtColor(head, cv2.COLOR_RGB2YUV_I420), 3)])
