"""Which precision is taken on which processor."""

from __future__ import annotations

import pytest
import torch

from lipgan_cli.engine.gan import device


@pytest.mark.parametrize(
    ("avx512", "amx", "intel", "fast"),
    [
        (True, False, False, True),  # AMD since Zen 4
        (True, True, True, True),  # Intel since Sapphire Rapids
        (True, False, True, False),  # the same in a virtual machine that hides AMX
        (False, False, False, False),
        (False, False, True, False),
    ],
)
def test_bf16_is_taken_where_it_is_faster(monkeypatch, avx512, amx, intel, fast):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(device, "_made_by_intel", lambda: intel)
    assert device.fast_bf16(torch.device("cpu")) is fast


def test_the_maker_of_the_processor_is_known_or_nobody(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(device.platform, "processor", lambda: "Intel64 Family 6, GenuineIntel")
    assert device._made_by_intel()
    (tmp_path / "cpuinfo").write_text("processor : 0\nvendor_id : AuthenticAMD\n")
    assert not device._made_by_intel()
