"""Methods × shots × categories × seeds: every cell measured once, kept, and never run again.

A finished cell is a file in ``OUT/cells`` whose name is the hash of everything that changes its
numbers (`cell_key`), so an interrupted comparison goes on where it stopped, and a changed method,
checkpoint, data set or setting is measured anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.errors import DenseError, InputError
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison_plan import Cell, Setup, plan
from dense.evaluation.extremes import Extremes
from dense.evaluation.inspection import CategoryData, measure
from dense.methods.anomaly.base import Inspector
from dense.methods.catalog import Method
from dense.metrics.anomaly import TOLERATED
from dense.outputs import check_writable, write_json

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""

Record = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """All that was measured.

    Attributes:
        protocol: The settings that hold for every number.
        records: A measured cell each: its names, key and `Measurement`.
        failures: A cell that failed each: its names, `error`, and `trace` if it was a bug.
        left_out: Combinations that do not exist, and why.
    """

    protocol: Record
    records: list[Record]
    failures: list[Record]
    left_out: list[str]


def compare(
    backbone: CLIPBackbone,
    setup: Setup,
    out: str | Path,
    *,
    progress: Progress = lambda _: None,
) -> Comparison:
    """Measure what has not been measured yet; a cell that fails is noted and the rest goes on.

    Args:
        backbone: The checkpoint.
        setup: What is compared.
        out: Folder of the finished cells.
        progress: Called with a line for every cell.

    Raises:
        InputError: As `plan`, or if the place cannot be written.
    """
    cells, left_out = plan(setup)
    bench = _Bench(backbone, setup, check_writable(Path(out) / "cells"))
    comparison = Comparison(_protocol(backbone, setup), [], [], left_out)
    for number, cell in enumerate(cells, 1):
        place = f"[{number}/{len(cells)}] {cell}"
        try:
            record = read_cell(bench.path(cell))
            if record is None:
                progress(f"{place} ...")
                record = bench.measure(cell)
                progress(f"{place}: {_summary(record)}")
            else:
                progress(f"{place}: measured before")
            comparison.records.append(record | cell.names())
        except Exception as error:  # a bug in one method must not cost the others their numbers
            bench.inspector = None
            comparison.failures.append(_failure(cell, error))
            progress(f"{place}: FAILED: {comparison.failures[-1]['error']}")
    return comparison


class _Bench:
    """What neighbouring cells share: the pictures of a category, an inspector for all seeds."""

    def __init__(self, backbone: CLIPBackbone, setup: Setup, store: Path) -> None:
        self.backbone = backbone
        self.setup = setup
        self.store = store
        self.common = _common_key(backbone, setup)
        self.data: CategoryData | None = None
        self.inspector: tuple[object, Inspector] | None = None

    def pictures(self, cell: Cell) -> CategoryData:
        """The cell's category."""
        data, setup = self.data, self.setup
        if data is None or (data.root, data.category) != (cell.root, cell.category):
            data = CategoryData(cell.root, cell.category, limit=setup.limit, layout=setup.layout)
            self.data = data
        return data

    def path(self, cell: Cell) -> Path:
        """Where the finished cell lies, or will."""
        key = cell_key(cell, self.pictures(cell), self.setup, self.common)
        return self.store / f"{key}.json"

    def measure(self, cell: Cell) -> Record:
        """Run a cell and keep it."""
        begun, path = time.perf_counter(), self.path(cell)
        same = (cell.root, cell.category, cell.method, cell.shots)
        if self.inspector is None or self.inspector[0] != same:
            self.inspector = None  # frees its memory before the next one is built
            self.inspector = (same, _build(cell, self.backbone, self.setup))
        record = _run(self.inspector[1], cell, self.pictures(cell), self.setup, path)
        record["total_seconds"] = time.perf_counter() - begun
        write_json(path, record)
        return record


def cell_key(cell: Cell, data: CategoryData, setup: Setup, common: Record) -> str:
    """Hash of everything that changes a cell's numbers."""
    content = common | {
        "method": [cell.method.name, cell.method.build],
        "code": code_digest(cell.method.build.partition(":")[0], measure.__module__),
        "weights": _file_digest(setup.weights.get(cell.method.name)),
        "words": setup.words(cell.category),
        "shots": cell.shots,
        "seed": cell.seed,
        "test": data.fingerprint("test"),
        "train": data.fingerprint("train") if cell.shots else "",
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_cell(path: Path) -> Record | None:
    """A finished cell with its undefined metrics as nan; ``None`` if there is none."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        metrics = record["metrics"]
        record["metrics"] = {k: float("nan") if v is None else v for k, v in metrics.items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return record


def _run(inspector: Inspector, cell: Cell, data: CategoryData, setup: Setup, path: Path) -> Record:
    wanted = setup.pictures and cell.shots == _drawn_shots(cell.method, setup.shots)
    extremes = Extremes() if wanted and cell.seed == (setup.seeds[0] if cell.shots else 0) else None
    measured = measure(
        inspector,
        data,
        shots=cell.shots,
        seed=cell.seed,
        bins=setup.bins,
        sizes=setup.sizes,
        seen=extremes.see if extremes else None,
    )
    pictures = extremes.write(path.with_suffix(""), inspector.heat_scale) if extremes else []
    card = {"words": setup.words(cell.category), "protocol": inspector.describe()}
    found = {**card, **asdict(measured), "pictures": pictures}
    return {"key": path.stem, **cell.names(), **found}


def _drawn_shots(method: Method, shots: Sequence[int]) -> int:
    return max(shots) if method.few_shot else 0


def _build(cell: Cell, backbone: CLIPBackbone, setup: Setup) -> Inspector:
    weights = setup.weights.get(cell.method.name)
    built: Inspector = cell.method.builder()(
        backbone,
        {cell.category: setup.words(cell.category)},
        shots=cell.shots,
        batch_size=setup.batch_size,
        threshold=None,
        weights=None if weights is None else str(weights),
    )
    return built


def _protocol(backbone: CLIPBackbone, setup: Setup) -> Record:
    pixels = "exact" if setup.bins is None else f"{setup.bins} bins"
    return {
        "model": backbone.name,
        "checkpoint": backbone.fingerprint,
        "precision": str(backbone.dtype).removeprefix("torch."),
        "seeds": list(setup.seeds),
        "support": "sorted by path, permuted by the seed, without replacement",
        "words": dict(setup.products) or "names of the categories",
        "test pictures": "all" if setup.limit is None else f"{setup.limit} at most, evenly spaced",
        "pixels scored at": [size or "native" for size in setup.sizes],
        "pixel metrics": pixels,
        "overkill, escape": f"at {TOLERATED:.0%} of the other, percent",
        "spread": "sample standard deviation over seeds",
        "version": __version__,
    }


def _common_key(backbone: CLIPBackbone, setup: Setup) -> Record:
    advice = re.sub(r" at 0x\w+", "", repr(backbone.recommended))  # addresses of functions
    return {
        "format": FORMAT,
        "version": __version__,
        "checkpoint": [backbone.fingerprint, str(backbone.dtype), advice],
        "limit": setup.limit,
        "bins": setup.bins,
        "sizes": list(setup.sizes),
    }


def _file_digest(path: Path | None) -> str:
    if path is None:
        return ""
    if not path.is_file():
        raise InputError(f"no such file of learned parts: {path}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _failure(cell: Cell, error: Exception) -> Record:
    kind = "" if isinstance(error, DenseError) else f"{type(error).__name__}: "
    failure = cell.names() | {"error": f"{kind}{' '.join(str(error).split())}"}
    if kind:
        failure["trace"] = "".join(traceback.format_exception(error))
    return failure


def _summary(record: Record) -> str:
    shown = ("image_auroc", "pixel_auroc", "aupro")
    scores = [f"{k} {v:.1f}" for k, v in record["metrics"].items() if k in shown and v == v]
    pace = 1000 * record["seconds"] / max(1, record["images"])
    return f"{', '.join(scores) or 'no defined metric'} ({pace:.0f} ms a picture)"
