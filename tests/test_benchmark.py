"""The benchmark's arithmetic, and that its quick form runs on any machine."""

import json
from types import SimpleNamespace

import pytest
import torch

from dense import benchmark
from dense.benchmark import Pairs, Row, as_records, format_table, looking, run, time_pairs
from dense.benchmark.models import QUICK_MODEL, random_backbone
from dense.benchmark.peers import drop_tokens
from dense.benchmark.windows import window_products
from dense.errors import InputError
from dense.methods.anomaly.winclip import WinCLIPInspector
from tests.helpers import tiny_backbone


def test_ratio_is_the_median_of_pairs() -> None:
    """A pause of the machine in one pair must not move it."""
    assert Pairs((1.0, 1.1, 90.0), (2.0, 2.2, 2.0)).ratio == pytest.approx(0.5)


def test_calls_take_turns() -> None:
    calls: list[str] = []
    pairs = time_pairs(lambda: calls.append("ours"), lambda: calls.append("peer"), 3)
    assert calls == ["ours", "peer"] * 4
    assert len(pairs.ours) == len(pairs.peer) == 3


def test_table_tells_what_passed() -> None:
    rows = [
        Row("fast", "1 s", "2 s", 0.5, 0.8333, "peer"),
        Row("slow", "3 s", "2 s", 1.5, 1.1),
        Row("absent", "", "", None, 1.0, "not installed"),
    ]
    assert [row.passed for row in rows] == [True, False, None]
    lines = format_table(rows).splitlines()
    assert lines[1].split() == ["fast", "1", "s", "2", "s", "0.500", "0.833", "ok", "peer"]
    assert "MISSED" in lines[2]
    assert lines[3].endswith("not installed")
    assert json.loads(json.dumps(as_records(rows)))[1]["passed"] is False


def test_unknown_section() -> None:
    with pytest.raises(InputError, match=r"unknown benchmark 'window'.*windows"):
        run(only=["window"])


def test_quick_measurements_of_models() -> None:
    rows = run(quick=True, only=["forward", "windows", "linear"])
    assert all(row.bar is None for row in rows)
    measured = [row for row in rows if row.ratio is not None]
    assert len(measured) >= 6
    assert all(0.02 < row.ratio < 50 for row in measured)


def test_quick_measurements_of_regions() -> None:
    pooling, step = run(quick=True, only=["regions"])
    assert pooling.ratio > 0 and "1000 boxes" in pooling.name
    assert 0.2 < step.ratio < 20 and "crops" in step.note


def test_quick_measurements_of_looking() -> None:
    crops, features, prompt = run(quick=True, only=["looking"])
    assert all(row.bar is None and row.ratio > 0 for row in (crops, features, prompt))
    assert "of its multiplications" in features.note
    assert prompt.peer == "300.0 ms" and "which encodes" in prompt.note


def test_absent_segment_anything_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking.importlib.util, "find_spec", lambda _: None)
    row = run(quick=True, only=["looking"])[-1]
    assert row.ratio is None and "segment-anything is missing" in row.note


def test_feature_crops_are_counted_by_hand() -> None:
    # the tiny tower: T = 17 tokens, C = 32, D = 16, 3 blocks
    crop = 2 * 17 * 32 + 9 * 32**2 + 32 * 16
    whole = 3 * 17 * (12 * 32**2 + 2 * 17 * 32)
    assert looking.crop_cost(tiny_backbone().vit, (4, 4), 10) == pytest.approx(10 * crop / whole)
    tower = SimpleNamespace(width=384, prefix=1)  # the packaged model's shapes
    packaged = SimpleNamespace(tower=tower, joint_dim=384, num_blocks=11)
    assert looking.crop_cost(packaged, (16, 16), 50) == pytest.approx(0.015, abs=0.001)


def test_memory_runs_in_its_own_process() -> None:
    """A large parent must not count: Linux hands its `ru_maxrss` down."""
    ballast = torch.ones(200, 1024, 1024)
    (row,) = run(quick=True, only=["memory"])
    assert 0.05 < row.ratio < 0.45, row
    assert len(ballast) == 200


def test_absent_anomalib_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from dense.benchmark import windows

    monkeypatch.setattr(windows, "anomalib_winclip", lambda *_: None)
    rows = run(quick=True, only=["windows"])
    for row in rows[:2]:
        assert row.ratio is None
        assert row.passed is None
        assert "not installed" in row.note
    assert [row.name for row in rows[2:]] == [
        "WinCLIP zero-shot",
        "WinCLIP over the floor",
        "WinCLIP fit, 4 images",
        "WinCLIP fit, 4 images",
        "WinCLIP, approximate",
        "WinCLIP in bf16",
    ]
    assert all(row.ratio is not None for row in rows[2:])


def test_the_floor_counts_the_products() -> None:
    """By hand, for one window scale: first, middle and last block of the quick model."""
    backbone = random_backbone("quick", quick=True)
    inspector = WinCLIPInspector(backbone, "nut")
    _, flops = window_products(inspector)
    c, patches = QUICK_MODEL["vision_cfg"]["width"], 49
    windows = {36: 5, 25: 10}  # count: tokens of each
    tokens = sum(count * size for count, size in windows.items())
    per_token, rest = 24 * c * c, 18 * c * c
    expected = 6 * c * c * (patches + 1)
    expected += (rest + per_token + 4 * c * c) * (tokens + patches + 1)
    expected += 20 * c * c * (sum(windows) + 1)
    assert flops == expected


def test_the_plain_loop_gives_the_same_features() -> None:
    backbone = random_backbone("quick", quick=True)
    inspector = WinCLIPInspector(backbone, "nut")
    batch = torch.randn(2, 3, *backbone.image_size)
    image, *scales = drop_tokens(backbone.model.visual, batch, inspector.windows)
    with torch.inference_mode():
        torch.testing.assert_close(backbone.vit.encode_image(batch), image, atol=1e-5, rtol=0)
        ours = backbone.vit.encode_windows(batch, inspector.windows)
    for got, expected in zip(ours, scales, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_start_up_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.subprocess, "run", lambda *_, **__: None)
    (row,) = run(quick=True, only=["start-up"])
    assert row.passed
