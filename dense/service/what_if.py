"""What other thresholds would have done, from scores that are known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from dense.inspection.calibration import escape, guarantee
from dense.inspection.ledger import Ledger
from dense.inspection.plain import read_entries, read_number
from dense.inspection.product import Product
from dense.inspection.store.registry import Record, Registry

RECENT, MOST = 500, 300
"""Decisions that are looked back on, and thresholds that are listed."""


def calibration_values(registry: Registry, ledger: Ledger, record: Record) -> dict[str, object]:
    """Plain values of `dense.service.models.products.CalibrationModel`."""
    product, known = record.product, record.product.calibration
    recent = recent_scores(registry, ledger, record)
    good, defects = ([], []) if known is None else (worst(known.scores), worst(known.defects))
    promise = None if known is None else guarantee(known)
    passed = None if known is None else escape(known)
    thresholds = {} if known is None else dict(known.thresholds)
    current = list(thresholds.values())
    return {
        "method": None if known is None else known.method,
        "alpha": None if known is None else known.alpha,
        "threshold": max(current, default=None),
        "thresholds": thresholds,
        "guarantee": None if promise is None else promise.to_json(),
        "escape": None if passed is None else passed.to_json(),
        "parts": 0 if known is None else known.parts,
        "scores_good": good,
        "scores_defect": defects,
        "what_if": [] if product.calibration is None else what_if(good, defects, recent, current),
        "good_total": len(good),
        "defect_total": len(defects),
        "recent_total": len(recent),
    }


def worst(scores: Mapping[str, Sequence[float]]) -> list[float]:
    """Largest score of each part over the regions: above one threshold for all it is rejected."""
    return [max(parts) for parts in zip(*scores.values(), strict=True)] if scores else []


def recent_scores(registry: Registry, ledger: Ledger, record: Record) -> list[float]:
    """Scores of the last decisions by versions whose scores mean the same."""
    same = {
        one.version
        for one in registry.history(record.product.name)
        if _same_scores(one.product, record.product)
    }
    found = []
    for logged in ledger.decisions(product=record.product.name, limit=RECENT):
        decision = logged.decision
        if decision["version"] in same and decision["score"] is not None:
            regions = read_entries(decision["regions"])
            scores = [read_number(region["score"]) for region in regions]
            found.append(max(scores, default=read_number(decision["score"])))
    return found


def what_if(
    good: Sequence[float],
    defects: Sequence[float],
    recent: Sequence[float],
    current: Sequence[float],
) -> list[dict[str, float | None]]:
    """Shares that thresholds at the known scores would reject or let pass."""
    rows = [sorted(good), sorted(defects), sorted(recent)]
    places = sorted({*good, *defects, *recent, *current})
    if len(places) > MOST:
        chosen = np.linspace(0, len(places) - 1, MOST - len(current)).round().astype(int)
        places = sorted({*(places[place] for place in chosen), *current})
    return [
        {
            "threshold": place,
            "good_rejected": _above(rows[0], place),
            "defects_passed": _below(rows[1], place),
            "recent_rejected": _above(rows[2], place),
        }
        for place in places
    ]


def _above(values: Sequence[float], limit: float) -> float | None:
    return 1 - bisect_right(values, limit) / len(values) if values else None


def _below(values: Sequence[float], limit: float) -> float | None:
    return bisect_right(values, limit) / len(values) if values else None


def _same_scores(one: Product, other: Product) -> bool:
    """Whether two versions score alike: made from the same pictures by the same words."""
    return (
        one.traits == other.traits
        and one.words == other.words
        and one.state_words == other.state_words
        and one.view.to_json() == other.view.to_json()
    )
