"""Cells of explanations summed up: deletion, insertion, chance, random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.extremes import leading
from dense.evaluation.comparison.tables import Row, Value, protocol_cards
from dense.report import Section

KINDS = {"worst": "picture with the least gain over chance", "best": "picture with the largest"}
COLUMNS = {
    "deletion": 4,
    "insertion": 4,
    "random": 4,
    "deletion_gain": 4,
    "insertion_gain": 4,
    "deletion_wins": 0,
    "insertion_wins": 0,
    "random_weights": 2,
}
"""Figures of a row, and their digits."""
TERMINAL = (*COLUMNS, "s_per_image")


def tables(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Every method on every data set."""
    return {"explanations": [_row(record) for record in records]} if records else {}


def remarks(records: Sequence[Record]) -> dict[str, list[str]]:
    """How sure the gains are, and the protocol cards."""
    sure = []
    for record in records:
        name, metrics = f"{record['data']}, {record['method']}", record["metrics"]
        spans = (
            f"{kind} {metrics[f'{kind}_gain_low']:+.4f} to {metrics[f'{kind}_gain_high']:+.4f}"
            for kind in ("deletion", "insertion")
        )
        sure.append(f"{name}: {', '.join(spans)} ({record['images']} pictures)")
    return {"95 % of the mean gains": sure, "Protocol cards": protocol_cards(records)}


def sections(records: Sequence[Record], folder: Path) -> list[Section]:
    """The worst and the best picture of every method."""
    return leading(records, folder, KINDS, digits=4)


def _row(record: Record) -> Row:
    metrics = record["metrics"]
    values = {name: Value(metrics[name], digits=digits) for name, digits in COLUMNS.items()}
    values["images"] = Value(record["images"], digits=0)
    values["s_per_image"] = Value(record["seconds"] / record["images"], digits=2)
    names = {"data": record["data"], "method": record["method"]}
    return Row(names, values, {"protocol_card": record["protocol"]})
