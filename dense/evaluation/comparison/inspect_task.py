"""Comparison of inspection methods: methods × shots × categories × seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import numpy as np

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison import inspect_tables
from dense.evaluation.comparison.cells import (
    Measured,
    Record,
    Summed,
    Task,
    common_key,
    common_protocol,
    file_digest,
)
from dense.evaluation.comparison.extremes import Extremes, Picture, shrink, small_size
from dense.evaluation.comparison.inspect_plan import Cell, Setup, plan
from dense.evaluation.inspection import CategoryData, measure
from dense.images import resize_map
from dense.methods.anomaly.base import Inspector
from dense.metrics.anomaly import TOLERATED, defect_pixels
from dense.structures import AnomalyResult, Sample
from dense.visualize import draw_anomaly

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""


class InspectTask(Task):
    """Inspection methods side by side.

    Args:
        backbone: The checkpoint.
        setup: What is compared.

    Raises:
        InputError: As `plan`.
    """

    name: ClassVar[str] = "inspect"
    title: ClassVar[str] = "Inspection methods compared"
    summed: ClassVar[Summed] = inspect_tables
    terminal: ClassVar[tuple[str, ...]] = (
        "image_auroc",
        "image_f1_max",
        "pixel_auroc",
        "pixel_ap",
        "aupro",
    )

    def __init__(self, backbone: CLIPBackbone, setup: Setup) -> None:
        self.backbone = backbone
        self.setup = setup
        self.cells, self.left_out = plan(setup)
        self._common = common_key(backbone) | {
            "format": FORMAT,
            "limit": setup.limit,
            "bins": setup.bins,
            "sizes": list(setup.sizes),
        }
        if setup.small_defects:
            self._common["small_defects"] = True
        self._data: CategoryData | None = None
        self._inspector: tuple[object, Inspector] | None = None

    def protocol(self) -> Record:
        """See the base class."""
        setup = self.setup
        limit = setup.limit
        return {
            **common_protocol(self.backbone),
            "seeds": list(setup.seeds),
            "support": "sorted by path, permuted by the seed, without replacement",
            "words": dict(setup.products) or "names of the categories",
            "test pictures": "all" if limit is None else f"{limit} at most, evenly spaced",
            "pixels scored at": [size or "native" for size in setup.sizes],
            "pixel metrics": "exact" if setup.bins is None else f"{setup.bins} bins",
            "overkill, escape": f"at {TOLERATED:.0%} of the other, percent",
            "spread": "sample standard deviation over seeds",
            "version": __version__,
        }

    def key(self, cell: Cell) -> Record:
        """See the base class.

        Raises:
            InputError: If the learned parts are missing.
        """
        data = self._pictures(cell)
        return self._common | {
            "method": [cell.method.name, cell.method.build],
            "code": code_digest(*cell.method.modules, measure.__module__),
            "weights": file_digest(self.setup.weights.get(cell.method.name)),
            "words": self.setup.words(cell.category),
            "shots": cell.shots,
            "seed": cell.seed,
            "test": data.fingerprint("test"),
            "train": data.fingerprint("train") if cell.shots else "",
        }

    def measure(self, waiting: Mapping[Cell, Path]) -> Iterator[Measured]:
        """See the base class; neighbouring cells share pictures, and an inspector for all seeds."""
        for cell, path in waiting.items():
            begun = time.perf_counter()
            same = (cell.root, cell.category, cell.method, cell.shots)
            if self._inspector is None or self._inspector[0] != same:
                self._inspector = None  # frees its memory before the next one is built
                self._inspector = (same, self._build(cell))
            inspector = self._inspector[1]
            self._inspector = None  # one that fails is not used again
            record = self._run(inspector, cell, path)
            self._inspector = (same, inspector)
            yield cell, record | {"total_seconds": time.perf_counter() - begun}

    def summary(self, record: Record) -> str:
        """See the base class."""
        shown = ("image_auroc", "pixel_auroc", "aupro")
        scores = [f"{k} {v:.1f}" for k, v in record["metrics"].items() if k in shown and v == v]
        pace = 1000 * record["seconds"] / max(1, record["images"])
        return f"{', '.join(scores) or 'no defined metric'} ({pace:.0f} ms a picture)"

    def _pictures(self, cell: Cell) -> CategoryData:
        data, setup = self._data, self.setup
        if data is None or (data.root, data.category) != (cell.root, cell.category):
            data = CategoryData(cell.root, cell.category, limit=setup.limit, layout=setup.layout)
            self._data = data
        return data

    def _build(self, cell: Cell) -> Inspector:
        setup, weights = self.setup, self.setup.weights.get(cell.method.name)
        built: Inspector = cell.method.builder()(
            self.backbone,
            {cell.category: setup.words(cell.category)},
            shots=cell.shots,
            batch_size=setup.batch_size,
            threshold=None,
            weights=None if weights is None else str(weights),
        )
        return built

    def _run(self, inspector: Inspector, cell: Cell, path: Path) -> Record:
        setup = self.setup
        extremes = Extremes[AnomalyResult](
            inspect_tables.KINDS, lambda s, r: _draw(s, r, inspector.heat_scale)
        )

        def see(sample: Sample, result: AnomalyResult) -> None:
            extremes.see(_ranks(sample, result), result.score, sample, result)

        drawn = self._drawn(cell)
        measured = measure(
            inspector,
            self._pictures(cell),
            shots=cell.shots,
            seed=cell.seed,
            bins=setup.bins,
            sizes=setup.sizes,
            small=setup.small_defects,
            seen=see if drawn else None,
        )
        card = {"words": setup.words(cell.category), "protocol": inspector.describe()}
        return {**card, **asdict(measured), "pictures": extremes.write(path.with_suffix(""))}

    def _drawn(self, cell: Cell) -> bool:
        """Whether the cell's pictures are kept: one run of each method and category."""
        setup = self.setup
        shots = max(setup.shots) if cell.method.few_shot else 0
        seed = setup.seeds[0] if cell.shots else 0
        return setup.pictures and (cell.shots, cell.seed) == (shots, seed)


def _ranks(sample: Sample, result: AnomalyResult) -> dict[str, float]:
    if sample.label:
        return {"hardest": -result.score, "clearest": result.score}
    return {"alarming": result.score}


def _draw(sample: Sample, result: AnomalyResult, scale: tuple[float, float]) -> Picture:
    """The picture shrunk, with heat and the marked defect, (H', W', 3) uint8."""
    size, mask = small_size(sample.image_size), defect_pixels(sample)
    small = AnomalyResult(resize_map(result.anomaly_map, size), result.score)
    truth = None if mask is None else resize_map(mask.astype(np.float32), size) > 0.5
    return draw_anomaly(shrink(sample.image), small, scale=scale, truth=truth)
