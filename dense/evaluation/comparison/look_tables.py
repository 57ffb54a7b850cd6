"""Cells of lookers summed up: accuracy by the size of the object, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.extremes import leading
from dense.evaluation.comparison.tables import Row, Value, grouped, protocol_cards
from dense.metrics.intervals import wilson_interval
from dense.report import Section

GROUPS = ("smallest_third", "middle_third", "largest_third", "small", "medium", "large")
FLOOR = "plain"
KINDS = {"worst": "picture with the fewest right names", "best": "picture with the most"}
TERMINAL = (
    "top1",
    "smallest_third",
    "middle_third",
    "largest_third",
    "small",
    "medium",
    "large",
    "s_per_image",
    "cost_x",
)


def tables(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Every looker on every data set."""
    rows = []
    for _, group in grouped(records, ("data",)):
        floor = next((_pace(r) for r in group if r["method"] == FLOOR), None)
        rows += [_row(record, floor) for record in group]
    return {"lookers": rows} if rows else {}


def remarks(records: Sequence[Record]) -> dict[str, list[str]]:
    """How sure the smallest third is, how many boxes there are, and the protocol cards."""
    sure = []
    for record in records:
        count = int(record["metrics"]["count_smallest_third"])
        if count:
            low, high = wilson_interval(record["metrics"]["top1_smallest_third"] / 100, count)
            sure.append(
                f"{record['data']}, {record['method']}: {100 * low:.1f} to {100 * high:.1f} "
                f"({count} boxes)"
            )
    return {"95 % of the smallest third": sure, "Protocol cards": protocol_cards(records)}


def sections(records: Sequence[Record], folder: Path) -> list[Section]:
    """The worst and the best picture of every looker."""
    return leading(records, folder, KINDS)


def _row(record: Record, floor: float | None) -> Row:
    metrics = record["metrics"]
    values = {name: Value(metrics[name]) for name in ("top1", "top5", "mean_top1", "ece")}
    values |= {group: Value(metrics[f"top1_{group}"]) for group in GROUPS}
    values |= {f"boxes_{group}": Value(metrics[f"count_{group}"], digits=0) for group in GROUPS}
    values |= {
        "images": Value(record["images"], digits=0),
        "boxes": Value(metrics["count"], digits=0),
        "s_per_image": Value(_pace(record), digits=3),
    }
    if floor:
        values["cost_x"] = Value(_pace(record) / floor, digits=1)
    names = {"data": record["data"], "method": record["method"]}
    return Row(names, values, {"protocol_card": record["protocol"]})


def _pace(record: dict[str, Any]) -> float:
    return float(record["seconds"]) / max(1, record["images"])
