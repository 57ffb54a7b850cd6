"""Speed of WinCLIP, exact and approximate, with and without support; see `dense.benchmark`."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import vit
from dense.backbones.linear import linear
from dense.benchmark import WINDOW_MODEL, Row, pair_row, time_pairs
from dense.benchmark.models import picture, random_backbone
from dense.benchmark.peers import anomalib_winclip, drop_tokens
from dense.methods.anomaly.winclip import ANOMALIB, FAST, PAPER, WinCLIPInspector, WindowProtocol
from dense.structures import Sample

PRODUCT = "metal nut"
SHOTS = 4
FASTER = 1 / 1.2
FLOOR_BAR = 1.10
FAST_BAR = 1 / 6
FIT_BAR = 2.0


class _Windows:
    """One model, one picture, and the repetitions of a run."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.repeats = 2 if quick else 5
        self.backbone = random_backbone(WINDOW_MODEL, quick=quick)
        self.sample = Sample(picture(*self.backbone.image_size))
        self.support = [
            Sample(np.ascontiguousarray(np.roll(self.sample.image, 7 * turn, 1)))
            for turn in range(SHOTS)
        ]

    def inspector(self, protocol: WindowProtocol) -> WinCLIPInspector:
        return WinCLIPInspector(self.backbone, PRODUCT, protocol=protocol)

    def predict(self, inspector: WinCLIPInspector) -> Callable[[], Any]:
        return functools.partial(inspector.predict, [self.sample])

    def batch(self, samples: Sequence[Sample]) -> Tensor:
        to_tensor = self.backbone.preprocess.to_tensor
        return self.backbone.to_batch([to_tensor(sample.image) for sample in samples])

    def row(
        self,
        name: str,
        ours: Callable[[], object],
        peer: Callable[[], object],
        bar: float | None,
        note: str,
    ) -> Row:
        pairs = time_pairs(ours, peer, self.repeats)
        return pair_row(name, pairs, None if self.quick else bar, note)


@torch.inference_mode()
def measure_windows(quick: bool) -> list[Row]:
    """WinCLIP against anomalib, a plain loop, its own matrix products, and its fast mode."""
    bench = _Windows(quick)
    return [
        *_anomalib_rows(bench),
        _loop_row(bench),
        _floor_row(bench),
        *_fit_rows(bench),
        *_faster_rows(bench),
    ]


def _anomalib_rows(bench: _Windows) -> list[Row]:
    peer = anomalib_winclip(bench.backbone.model, PRODUCT)
    names = ("WinCLIP zero-shot", f"WinCLIP {SHOTS}-shot")
    if peer is None:
        note = "anomalib is not installed: pip install 'dense-clip[benchmark]'"
        return [Row(name, "", "", None, None if bench.quick else FASTER, note) for name in names]
    rows = []
    for name in names:
        inspector = bench.inspector(ANOMALIB)
        if name == names[1]:
            inspector.fit(bench.support)
            peer.setup(reference_images=bench.batch(bench.support))
        image = bench.batch([bench.sample])
        theirs = peer(image).anomaly_map[0].numpy()
        difference = np.abs(inspector.predict([bench.sample])[0].anomaly_map - theirs).max()
        note = f"anomalib, same weights; maps differ by {difference:.1e} of a range of "
        note += f"{np.ptp(theirs):.1e}"
        ours = bench.predict(inspector)
        rows.append(bench.row(name, ours, functools.partial(peer, image), FASTER, note))
    return rows


def _loop_row(bench: _Windows) -> Row:
    inspector = bench.inspector(ANOMALIB)
    visual, image = bench.backbone.model.visual, bench.batch([bench.sample])
    loop = functools.partial(drop_tokens, visual, image, inspector.windows)
    note = "plain loop over open_clip's layers"
    return bench.row("WinCLIP zero-shot", bench.predict(inspector), loop, FASTER, note)


def _floor_row(bench: _Windows) -> Row:
    inspector = bench.inspector(ANOMALIB)
    products, flops = window_products(inspector)
    pairs = time_pairs(bench.predict(inspector), products, bench.repeats)
    rate = flops / min(pairs.peer) / 1e9
    note = f"its matrix products alone: {flops / 1e12:.3f} TFLOP at {rate:.0f} GFLOP/s"
    return pair_row("WinCLIP over the floor", pairs, None if bench.quick else FLOOR_BAR, note)


def _fit_rows(bench: _Windows) -> list[Row]:
    """Exact, `SHOTS` pictures are as many passes over all windows: only fewer windows help."""
    one = bench.predict(bench.inspector(PAPER))
    cases = {
        "all windows": (PAPER, None),
        "every second window": (replace(PAPER, memory_stride=2), FIT_BAR),
    }
    return [
        bench.row(
            f"WinCLIP fit, {SHOTS} images",
            functools.partial(bench.inspector(protocol).fit, bench.support),
            one,
            bar,
            f"one inference; {name} remembered",
        )
        for name, (protocol, bar) in cases.items()
    ]


def _faster_rows(bench: _Windows) -> list[Row]:
    exact = bench.predict(bench.inspector(PAPER))
    fast = bench.predict(bench.inspector(FAST))
    half = copy.deepcopy(bench.backbone).to(torch.bfloat16)
    rough = bench.predict(WinCLIPInspector(half, PRODUCT, protocol=PAPER))
    return [
        bench.row("WinCLIP, approximate", fast, exact, FAST_BAR, "exact, same weights"),
        bench.row("WinCLIP in bf16", rough, exact, None, "fp32; pays with AVX512-BF16 or AMX"),
    ]


def window_products(inspector: WinCLIPInspector) -> tuple[Callable[[], None], int]:
    """The linear layers of one zero-shot prediction and nothing else, and their FLOP."""
    tower = inspector.backbone.vit.tower
    width, blocks = tower.width, len(tower.blocks)
    hidden = 4 * width
    whole = inspector.grid[0] * inspector.grid[1] + tower.prefix
    sizes = [_chunks(index, tower.prefix) for index in inspector.windows]
    tokens = [
        size * (index.shape[1] + tower.prefix)
        for index, parts in zip(inspector.windows, sizes, strict=True)
        for size in parts
    ]
    counts = [size for parts in sizes for size in parts]
    calls: list[tuple[int, int, int]] = [(whole, width, 3 * width)]  # (rows, in, out)
    for rows, windows in zip([*tokens, whole], [*counts, 1], strict=True):
        rest = [(rows, width, width), (rows, width, hidden), (rows, hidden, width)]
        calls += rest + [(rows, width, 3 * width), *rest] * (blocks - 2)
        calls += [(rows, width, 2 * width)] + [(windows, width, width)] * 2
        calls += [(windows, width, hidden), (windows, hidden, width)]
    inputs = {(r, i): torch.randn(r, i) for r, i, _ in calls}
    weights = {(i, o): torch.randn(o, i) for _, i, o in calls}
    route = _faster_route(inputs[max(tokens), width], weights[width, hidden])

    def products() -> None:
        for rows, i, o in calls:
            route(inputs[rows, i], weights[i, o])

    return products, sum(2 * r * i * o for r, i, o in calls)


def _chunks(index: Tensor, prefix: int) -> list[int]:
    step = max(1, vit.WINDOW_TOKENS // (index.shape[1] + prefix))
    return [len(part) for part in index.split(step)]


def _faster_route(x: Tensor, weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    pairs = time_pairs(lambda: linear(x, weight), lambda: F.linear(x, weight), 5)
    return linear if pairs.ratio < 1 else F.linear
