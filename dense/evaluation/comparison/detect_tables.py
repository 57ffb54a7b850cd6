"""Cells of detectors summed up: average precision, recall, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.extremes import leading
from dense.evaluation.comparison.tables import Row, Value, grouped, protocol_cards
from dense.report import Section

KINDS = {"worst": "picture with the fewest objects found", "best": "picture with the most"}
TERMINAL = ("ap", "ap50", "ap75", "ar", "proposals50", "s_per_image")


def tables(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Every detector on every data set."""
    rows = [_row(record) for _, group in grouped(records, ("data",)) for record in group]
    return {"detectors": rows} if rows else {}


def remarks(records: Sequence[Record]) -> dict[str, list[str]]:
    """What the numbers were made with."""
    return {"Protocol cards": protocol_cards(records, _title)}


def sections(records: Sequence[Record], folder: Path) -> list[Section]:
    """The worst and the best picture of every detector."""
    return leading(records, folder, KINDS, title=_title)


def _title(record: Record) -> str:
    return f"{record['method']}, proposals {record['proposals']}, objectness {record['objectness']}"


def _row(record: Record) -> Row:
    counts = {name: record[name] for name in ("images", "boxes")}
    pace = float(record["seconds"]) / max(1, record["images"])
    values = {name: Value(value) for name, value in record["metrics"].items()}
    values |= {name: Value(value, digits=0) for name, value in counts.items()}
    values["s_per_image"] = Value(pace, digits=3)
    names: dict[str, Any] = {k: record[k] for k in ("data", "method", "proposals", "objectness")}
    return Row(names, values, {"protocol_card": record["protocol"]})
