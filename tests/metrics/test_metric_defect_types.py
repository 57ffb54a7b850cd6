"""Defect types against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dense.metrics.defect_types import DefectTypes


def test_each_type_is_ranked_against_all_normal_pictures() -> None:
    rng = np.random.default_rng(0)
    types, maps = DefectTypes(), []
    kinds = ["good", "good", "crack", "crack", "dent"]
    for kind in kinds:
        heat = rng.normal(size=(9, 7)).astype(np.float32)
        mask = None
        if kind != "good":
            mask = np.zeros((9, 7), bool)
            mask[2:5, : 2 if kind == "crack" else 6] = True
            heat[mask] += 1
        maps.append((kind, float(heat.max()), heat, mask))
        if mask is None:
            types.add_normal(float(heat.max()), heat)
        else:
            types.add(kind, float(heat.max()), heat, mask)
    found = types.scores()
    assert list(found) == ["crack", "dent"]
    for kind in found:
        mine = [one for one in maps if one[0] in ("good", kind)]
        labels = [one[0] == kind for one in mine]
        scores = [one[1] for one in mine]
        truth = [np.zeros((9, 7), bool) if one[3] is None else one[3] for one in mine]
        pixels = roc_auc_score(np.stack(truth).ravel(), np.stack([m[2] for m in mine]).ravel())
        assert found[kind]["image_auroc"] == pytest.approx(100 * roc_auc_score(labels, scores))
        assert found[kind]["pixel_auroc"] == pytest.approx(100 * pixels, abs=0.1)
        assert found[kind]["images"] == sum(labels)
    assert found["crack"]["pixel_share"] == pytest.approx(100 * 12 / 30)  # 2 × 6 and 18 pixels
    assert found["dent"]["pixel_share"] == pytest.approx(100 * 18 / 30)


def test_what_is_undefined_is_nan() -> None:
    types, heat = DefectTypes(), np.ones((2, 2), np.float32)
    types.add("stain", 1.0, heat, None)  # no mask
    types.add("whole", 1.0, heat, np.ones((2, 2), bool))  # no defect-free pixel anywhere
    found = types.scores()
    assert np.isnan([found["stain"][key] for key in ("image_auroc", "pixel_auroc")]).all()
    assert np.isnan(found["stain"]["pixel_share"])
    assert np.isnan(found["whole"]["pixel_auroc"])
    assert found["whole"]["pixel_share"] == 100
