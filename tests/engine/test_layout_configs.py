"""The config of every inspection benchmark reads that benchmark's own layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from dense.engine import factories
from dense.engine.build import build, load_config
from tests.datasets.layouts import MAKERS
from tests.helpers import tiny_backbone

INSPECT = Path(__file__).parents[2] / "configs" / "inspect"
BENCHMARKS = {
    "mvtec": "mvtec",
    "btad": "mvtec (BTAD)",
    "mpdd": "mvtec (MPDD)",
    "visa": "visa",
    "mvtec_ad_2": "mvtec_ad_2",
    "mvtec_loco": "mvtec_loco",
    "real_iad": "real_iad",
    "kolektor": "kolektor",
    "dagm": "dagm",
    "bmad": "bmad",
}


@pytest.mark.parametrize(("name", "layout"), BENCHMARKS.items(), ids=list(BENCHMARKS))
def test_config_reads_its_layout(
    name: str, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())
    MAKERS[layout](tmp_path)
    cfg = load_config(INSPECT / f"winclip_vitb16plus240_{name}.py", {}, data_root=tmp_path)
    dataset, method = build(cfg.test_dataloader.dataset), build(cfg.model)
    assert dataset.layout == layout.partition(" ")[0]
    method.method.fit(build(cfg.support.dataset).support(2, seed=0))
    samples = [dataset[i] for i in range(len(dataset))]
    predictions = method(list(range(len(samples))), samples, mode="predict")
    metric = build(cfg.test_evaluator)[0]
    metric.process({}, predictions)
    scores = metric.evaluate(len(samples))
    assert 0 <= scores["image_auroc"] <= 100
    assert 0 <= scores["aupro"] <= 100
