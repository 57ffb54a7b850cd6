"""Inspection cells summed up: means and spreads over seeds, means over categories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.extremes import figures
from dense.evaluation.comparison.tables import Row, Value, grouped
from dense.report import Entry, Section

ALL = "all"
"""Data name of means over the categories of every data set."""

KINDS = {
    "hardest": "defective picture with the lowest score",
    "alarming": "normal picture with the highest score",
    "clearest": "defective picture with the highest score",
}


def tables(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Means over categories, where there are several, each category, and its defect types."""
    by_category = category_rows(records)
    several = len({(row.names["data"], row.names["category"]) for row in by_category}) > 1
    means = {"mean over categories": macro_rows(records)} if several else {}
    by_type = {"by defect type": rows} if (rows := type_rows(records)) else {}
    return {**means, "by category": by_category, **by_type} if records else {}


def category_rows(records: Sequence[Record]) -> list[Row]:
    """A row a data set, category, method and number of shots, over its seeds."""
    return [
        Row(names, {metric: _over_seeds(group, metric) for metric in _metrics(group)})
        for names, group in grouped(records, ("data", "category", "method", "shots"))
    ]


def type_rows(records: Sequence[Record]) -> list[Row]:
    """A row for each defect type of `category_rows`, against the category's normal pictures."""
    names = ("data", "category", "method", "shots", "defect")
    split = [
        {**record, "defect": defect, "metrics": metrics}
        for record in records
        for defect, metrics in record.get("defects", {}).items()
    ]
    return [
        Row(place, {metric: _over_seeds(group, metric) for metric in _metrics(group)})
        for place, group in grouped(split, names)
    ]


def macro_rows(records: Sequence[Record]) -> list[Row]:
    """Means over categories, by data set and over `ALL` if there are several.

    Each seed has a mean over categories; their mean and standard deviation are given. Categories
    where the metric is undefined, or a seed is missing, are left out: `Value.parts` counts those
    that are in.
    """
    everything: list[Record] = []
    if len({record["data"] for record in records}) > 1:
        everything = [
            record | {"data": ALL, "category": f"{record['data']}/{record['category']}"}
            for record in records
        ]
    groups = [
        group
        for some in (records, everything)
        for group in grouped(some, ("data", "method", "shots"))
    ]
    return [_macro(names, group) for names, group in groups]


def remarks(records: Sequence[Record]) -> dict[str, list[str]]:
    """What is undefined, must be known, or was rounded."""
    undefined, notes = [], []
    for record in records:
        place = f"{record['data']}/{record['category']}"
        by_reason: dict[str, list[str]] = {}
        for metric, reason in record["reasons"].items():
            by_reason.setdefault(reason, []).append(metric)
        undefined += [f"{place}: {', '.join(m)}: {reason}" for reason, m in by_reason.items()]
        notes += [f"{place}: {note}" for note in record["notes"]]
    return {"Undefined": undefined, "Notes": notes, "Binning": _binning(records)}


def sections(records: Sequence[Record], folder: Path) -> list[Section]:
    """The most telling pictures of each category, method by method."""
    entries: dict[str, list[Entry]] = {}
    for record in records:
        found = figures(record["pictures"], folder, 3)
        if found:
            place = f"{record['data']}/{record['category']}"
            title = f"{record['method']}, {record['shots']}-shot"
            entries.setdefault(place, []).append(Entry(title, found))
    text = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    return [Section(place, text, cards) for place, cards in entries.items()]


def _binning(records: Sequence[Record]) -> list[str]:
    worst: dict[str, float] = {}
    for record in records:
        for metric, error in record["errors"].items():
            if error is not None:
                worst[metric] = max(worst.get(metric, 0.0), error)
    if not worst:
        return []
    bounds = ", ".join(f"{metric} {error:.2g}" for metric, error in worst.items())
    return [f"at most this many percent points off the exact value, anywhere: {bounds}"]


def _macro(names: dict[str, Any], group: Sequence[Record]) -> Row:
    seeds = sorted({record["seed"] for record in group})
    categories = dict.fromkeys(record["category"] for record in group)
    values = {}
    for metric in _metrics(group):
        found = {(r["category"], r["seed"]): r["metrics"].get(metric, np.nan) for r in group}
        grid = np.array(
            [[found.get((name, seed), np.nan) for seed in seeds] for name in categories]
        )
        whole = grid[~np.isnan(grid).any(1)]
        runs = whole.mean(0) if len(whole) else np.array([])
        values[metric] = _value(runs, len(whole), len(categories))
    return Row(names, values)


def _over_seeds(group: Sequence[Record], metric: str) -> Value:
    found = np.array([r["metrics"].get(metric, np.nan) for r in group], np.float64)
    return _value(found[~np.isnan(found)], 1, 1)


def _value(runs: np.ndarray, parts: int, of: int) -> Value:
    if not runs.size:
        return Value(float("nan"), of=of)
    sd = float(runs.std(ddof=1)) if runs.size > 1 else None
    return Value(float(runs.mean()), sd, runs.size, parts, of)


def _metrics(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(metric for record in records for metric in record["metrics"]))
