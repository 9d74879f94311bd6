"""SyncNet: the published network's names and shapes, its measures by hand, its sign, its crop."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics import syncnet
from lipgan_cli.engine.metrics.mfcc import mfcc
from lipgan_cli.engine.metrics.syncnet import (
    SyncNet,
    SyncNetFigures,
    crop,
    figures,
    judge,
    load_syncnet,
    mean_distances,
    syncnet_square,
    syncnet_squares,
)
from lipgan_cli.engine.weights.tensors import convert

# Of the published file: the place of each layer in its part, and its weight's shape.
LAYERS = {
    "netcnnaud": {
        0: (64, 1, 3, 3),
        4: (192, 64, 3, 3),
        8: (384, 192, 3, 3),
        11: (256, 384, 3, 3),
        14: (256, 256, 3, 3),
        18: (512, 256, 5, 4),
    },
    "netfcaud": {0: (512, 512), 3: (1024, 512)},
    "netcnnlip": {
        0: (96, 3, 5, 7, 7),
        4: (256, 96, 1, 5, 5),
        8: (256, 256, 1, 3, 3),
        11: (256, 256, 1, 3, 3),
        14: (256, 256, 1, 3, 3),
        18: (512, 256, 1, 6, 6),
    },
    "netfclip": {0: (512, 512), 3: (1024, 512)},
}
NORMS = ("weight", "bias", "running_mean", "running_var")


def published_shapes():
    shapes = {}
    for part, layers in LAYERS.items():
        for place, shape in layers.items():
            shapes[f"{part}.{place}.weight"] = shape
            shapes[f"{part}.{place}.bias"] = shape[:1]
            if shape[0] != 1024:  # the last layer alone has no batch norm behind it
                shapes |= {f"{part}.{place + 1}.{name}": shape[:1] for name in NORMS}
    return shapes


@pytest.fixture(scope="module")
def state():
    """Weights of the published names and shapes, drawn so that every layer keeps its loudness."""
    drawn = torch.Generator().manual_seed(16)
    made = OrderedDict()
    for name, shape in published_shapes().items():
        if len(shape) > 1:
            spread = (2 / np.prod(shape[1:])) ** 0.5
            made[name] = torch.randn(shape, generator=drawn) * float(spread)
        elif name.endswith((".weight", "running_var")):  # of a batch norm
            made[name] = torch.rand(shape, generator=drawn) + 0.5
        else:
            made[name] = torch.randn(shape, generator=drawn) * 0.1
    # The scales of what goes in: pictures up to 255, MFCC of some ten.
    made["netcnnlip.1.running_var"] *= 2e4
    made["netcnnaud.1.running_var"] *= 2e2
    return made


@pytest.fixture(scope="module")
def network(state):
    network = SyncNet()
    network.load_state_dict(dict(state))
    return network.eval()


def test_names_and_shapes_are_those_of_the_published_file():
    own = {name: tuple(tensor.shape) for name, tensor in SyncNet().state_dict().items()}
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    assert len(counters) == 14
    assert {name: own[name] for name in own.keys() - counters} == published_shapes()


def test_parameter_count():
    assert sum(weight.numel() for weight in SyncNet().parameters()) == 13_631_616
    # The rest of the published file's 54,573,114 bytes is names and places.
    stored = sum(4 * int(np.prod(shape)) for shape in published_shapes().values())
    assert 54_573_114 - 20_000 < stored < 54_573_114


def test_every_way_of_saving_the_weights_loads(state, tmp_path):
    counted = state | {
        name.replace("running_var", "num_batches_tracked"): torch.tensor(7)
        for name in state
        if name.endswith("running_var")
    }
    wrapped = tmp_path / "wrapped.pth"
    torch.save({"state_dict": counted, "epoch": 3}, wrapped)
    published = tmp_path / "syncnet_v2.model"
    torch.save(state, published, _use_new_zipfile_serialization=False)  # as it is published
    tensors = tmp_path / "syncnet.safetensors"
    save_file(state, tensors)
    turned = tmp_path / "syncnet_v2.safetensors"
    convert(published, turned, published.name, "0" * 64)
    for path in (wrapped, published, tensors, turned):
        network = load_syncnet(path)
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())
        loaded = network.state_dict()
        assert all(torch.equal(loaded[name], weight) for name, weight in state.items())
        path.unlink()


def small(shape):
    """A tensor of that shape that takes four bytes in a file."""
    return torch.zeros(1).expand(shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(torch.nn.Linear(2, 2), "holds more than tensors", id="a module"),
        pytest.param([1, 2], "does not hold SyncNet's weights", id="a list"),
        pytest.param({}, "does not hold SyncNet's weights", id="nothing"),
        pytest.param({3: small(2)}, "does not hold SyncNet's weights", id="numbers for names"),
        pytest.param(b"<html>", "is not a file of PyTorch weights", id="a web page"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "some.model"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    refused(path, message)


def refused(path, message):
    with pytest.raises(InputError) as caught:
        load_syncnet(path)
    assert caught.value.message == f"{path} {message}"
    assert "lipgan download-weights syncnet" in caught.value.hint


@pytest.mark.parametrize("change", ["missing", "added", "reshaped"])
def test_weights_must_fit_strictly(tmp_path, change):
    weights = {name: small(shape) for name, shape in published_shapes().items()}
    if change == "missing":
        del weights["netfclip.3.bias"]
    elif change == "added":
        weights["netfclip.4.bias"] = small(1024)
    else:
        weights["netfclip.3.bias"] = small(512)
    path = tmp_path / "some.model"
    torch.save(weights, path)
    refused(path, "does not hold SyncNet's weights")


def test_a_damaged_safetensors_file_and_a_missing_one(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_text("no tensors at all")
    with pytest.raises(InputError, match=r"is not a \.safetensors file"):
        load_syncnet(path)
    with pytest.raises(InputError, match="does not exist"):
        load_syncnet(tmp_path / "none.model")


def test_distances_by_hand():
    lips = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    sounds = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    distances = mean_distances(lips, sounds)
    # Shift 0: (5 + 5) / 2. Shift 1: lips 0 meet sound 1, lips 1 the zeros beyond the end.
    # Anywhere else lips 0 meet zeros: (5 + 0) / 2.
    expected = [2.5] * 15 + [5.0, 0.0] + [2.5] * 14
    assert distances.tolist() == pytest.approx(expected, abs=2e-6)
    found = figures(distances)
    assert found.lse_d == pytest.approx(0, abs=2e-6)
    assert found.lse_c == pytest.approx(2.5, abs=2e-6)
    assert found.offset_frames == -1
    assert found.offset_ms == 40


def test_figures_by_hand():
    distances = torch.arange(31).float()  # the least at shift -15; the median is 15
    assert figures(distances + 2) == SyncNetFigures(2, 15, -600)
    assert figures(distances.flip(0)) == SyncNetFigures(0, 15, 600)
    assert SyncNetFigures(2, 15, -600).offset_frames == 15


class Loudness:
    """Sees how bright a window's first frame is and hears how loud its sound begins, in nepers."""

    def lips(self, frames):
        self.frames = frames
        return frames[:-4, :1, 0, 0].log() - MIDDLE

    def sounds(self, windows):
        return (windows[:, 0, :1] - LOUDNESS) / 2 - MIDDLE


def tone(levels):
    """A frame of sound for each level."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(640) / 16000)
    return np.concatenate([level / 300 * wave for level in levels]).astype(np.float32)


LOUDNESS = mfcc(tone([1]))[0, 1]
MIDDLE = 4.6  # of the levels' logarithms, 3.0 to 5.5: the zeros beyond the ends lie among them


def clip(frames=60):
    levels = np.random.default_rng(25).integers(20, 250, frames)
    return levels, np.tile(levels.astype(np.uint8)[:, None, None, None], (1, 224, 224, 3))


@pytest.mark.parametrize("late", [-15, -4, 0, 3, 15])
@pytest.mark.parametrize("batch", [7, 20])
def test_the_offset_is_found_and_positive_where_sound_is_late(late, batch):
    levels, frames = clip()
    found = judge(Loudness(), iter(frames), tone(np.roll(levels, late)), batch=batch)
    assert found.offset_frames == -late
    assert found.offset_ms == 40 * late
    # All of 55 windows fit but those that meet the zeros beyond an end, 1.6 away at most.
    assert found.lse_d < 1.6 * abs(late) / 55 + 0.02
    assert found.lse_c > 0.2


def test_windows_are_those_of_the_common_length_less_one():
    class Counting(Loudness):
        seen = heard = 0

        def lips(self, frames):
            self.seen += len(frames) - 4
            return super().lips(frames)

        def sounds(self, windows):
            assert windows.shape[1:] == (13, 20)
            self.heard += len(windows)
            return super().sounds(windows)

    levels, frames = clip(30)
    for shown, sounding in ((30, 30 * 640), (30, 23 * 640 + 639), (23, 30 * 640)):
        counting = Counting()
        judge(counting, frames[:shown], tone(levels)[:sounding], batch=7)
        common = min(shown, sounding // 640)
        assert (counting.seen, counting.heard) == (common - 4, common - 5)


def test_pictures_go_in_as_bgr_from_0_to_255():
    network = Loudness()
    frames = np.full((6, 224, 224, 3), (30, 20, 10), np.uint8)
    judge(network, frames, np.zeros(6 * 640, np.int16))
    assert network.frames.shape == (6, 3, 224, 224)
    assert network.frames.dtype == torch.float32
    assert network.frames[0, :, 5, 7].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("shown", "sounding"), [(5, 6), (6, 5), (0, 6), (6, 0)])
def test_a_clip_that_is_too_short_is_refused(shown, sounding):
    frames = np.zeros((shown, 224, 224, 3), np.uint8)
    with pytest.raises(InputError, match="SyncNet needs 6 frames with sound"):
        judge(Loudness(), frames, np.zeros(sounding * 640, np.int16))


def test_pictures_of_another_size_are_a_mistake():
    with pytest.raises(ValueError, match=r"224x224 pixels in RGB, not \(112, 112, 3\)"):
        judge(Loudness(), np.zeros((6, 112, 112, 3), np.uint8), np.zeros(6 * 640, np.int16))


def test_the_network_alone_and_whole_clips_agree(network, monkeypatch):
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 256, (9, 4, 4, 3), np.uint8).repeat(56, 1).repeat(56, 2)
    samples = rng.integers(-9000, 9000, 9 * 640).astype(np.int16)
    monkeypatch.setattr(syncnet, "figures", lambda distances: distances)
    found = judge(network, frames, samples, batch=3)
    columns = torch.tensor(mfcc(samples)).float()
    with torch.inference_mode():
        pictures = torch.tensor(frames[..., ::-1].copy()).float().permute(3, 0, 1, 2)[None]
        lips = [
            network.netfclip(network.netcnnlip(pictures[:, :, i : i + 5]).flatten(1))[0]
            for i in range(4)
        ]
        sounds = [
            network.netfcaud(
                network.netcnnaud(columns[None, None, :, 4 * i : 4 * i + 20]).flatten(1)
            )[0]
            for i in range(4)
        ]
    distances = []
    for shift in range(-15, 16):
        pairs = ((lips[i], sounds[i + shift] if 0 <= i + shift < 4 else 0) for i in range(4))
        distances.append(float(np.mean([float((one - other).norm()) for one, other in pairs])))
    assert found.tolist() == pytest.approx(distances, rel=1e-4)
    # Beyond a whole clip's length all lips meet zeros; within it every shift has its own distance.
    assert len({round(distance, 2) for distance in distances}) == 8


def test_square_by_hand():
    # The other detector's box: 123 high, its centre 9 above HOG's; a side of 2.8 of its halves,
    # its upper edge the box's.
    square = syncnet_square(np.array([200.0, 100.0, 300.0, 200.0, 5.0]))
    assert square == pytest.approx([250, 150 - 9 - 61.5 + 86.1, 172.2])


def test_squares_are_steadied_and_gaps_bridged():
    boxes = np.tile([200.0, 100.0, 300.0, 200.0], (30, 1))
    boxes[:, [0, 2]] += np.arange(30)[:, None]
    boxes[10] += 50  # a slip of the detector
    boxes[15:18] = np.nan
    boxes[0] = np.nan
    squares = syncnet_squares(boxes)
    assert squares.shape == (30, 3)
    assert squares[:, 2] == pytest.approx(172.2)
    assert squares[6:24, 0] == pytest.approx(250 + np.arange(6, 24), abs=1.01)
    assert np.ptp(squares[:, 1]) == pytest.approx(0)
    assert np.isnan(syncnet_squares(np.full((3, 5), np.nan))).all()


def test_crop_takes_the_pixels_and_is_grey_outside():
    frame = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    assert np.array_equal(crop(frame, np.array([200.9, 150, 224])), frame[38:262, 88:312])
    outside = crop(frame, np.array([0, 300, 224]))
    assert np.array_equal(outside[:112, 112:], frame[188:, :112])
    assert (outside[112:] == 110).all()
    assert (outside[:, :112] == 110).all()
    assert (crop(frame, np.array([-500, -500, 100])) == 110).all()


def test_crop_brings_every_size_to_224():
    frame = np.full((50, 50, 3), 77, np.uint8)
    for side in (0.1, 31.4, 600):
        assert crop(frame, np.array([25, 25, side])).shape == (224, 224, 3)
    assert (crop(frame, np.array([25, 25, 31.4])) == 77).all()
