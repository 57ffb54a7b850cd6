"""A comparison as numbers: means and spreads over seeds, macro means, JSON, Markdown, a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dense.evaluation.comparison import Comparison, Record
from dense.evaluation.extremes import KINDS
from dense.images import read_image
from dense.outputs import write_json, write_text
from dense.report import Entry, Figure, Section, Table, write_report

ALL = "all"
"""Data name of means over the categories of every data set."""

TERMINAL = ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro")
"""What fits a terminal; the files have every metric."""
TITLE = "Inspection methods compared"


@dataclass(frozen=True)
class Value:
    """A metric in percent over seeds: mean, sample standard deviation, number of each.

    Attributes:
        mean: nan where the metric is undefined.
        sd: ``None`` for a single run.
        seeds: Runs that the mean is of.
        categories: Categories that the mean is of.
    """

    mean: float
    sd: float | None
    seeds: int
    categories: int = 1

    def __str__(self) -> str:
        if self.mean != self.mean:
            return "-"
        return f"{self.mean:.1f}" + ("" if self.sd is None else f" ± {self.sd:.1f}")


@dataclass(frozen=True)
class Row:
    """A line of a table; `category` is empty for a mean over categories."""

    data: str
    category: str
    method: str
    shots: int
    values: dict[str, Value]
    categories: int = 1


def category_rows(records: Sequence[Record]) -> list[Row]:
    """A row a data set, category, method and number of shots, over its seeds."""
    rows = []
    for key, group in _grouped(records, ("data", "category", "method", "shots")):
        data, category, method, shots = key
        values = {metric: _over_seeds(group, metric) for metric in _metrics(group)}
        rows.append(Row(data, category, method, shots, values))
    return rows


def macro_rows(records: Sequence[Record]) -> list[Row]:
    """Means over categories, by data set and over `ALL` if there are several.

    Each seed has a mean over categories; their mean and standard deviation are given. Categories
    where the metric is undefined, or a seed is missing, are left out: `Value.categories` counts
    those that are in.
    """
    rows = [_macro(key, group) for key, group in _grouped(records, ("data", "method", "shots"))]
    if len({record["data"] for record in records}) > 1:
        everything = [
            record | {"data": ALL, "category": f"{record['data']}/{record['category']}"}
            for record in records
        ]
        rows += [_macro(k, g) for k, g in _grouped(everything, ("data", "method", "shots"))]
    return rows


def to_json(comparison: Comparison) -> dict[str, object]:
    """Everything: protocol, rows, single cells, failures; undefined numbers are null."""
    return {
        "command": "compare",
        "protocol": comparison.protocol,
        "mean": [asdict(row) for row in macro_rows(comparison.records)],
        "by_category": [asdict(row) for row in category_rows(comparison.records)],
        "cells": comparison.records,
        "failed": comparison.failures,
        "left_out": comparison.left_out,
    }


def to_markdown(comparison: Comparison) -> str:
    """The tables with every metric, the protocol, and what is undefined or failed."""
    lines = [f"# {TITLE}", ""]
    lines += [f"- {key}: {_plain(value)}" for key, value in comparison.protocol.items()]
    for title, rows in _tables(comparison):
        header, body = table(rows)
        lines += ["", f"## {title}", "", _line(header), _line(["---"] * len(header))]
        lines += [_line(row) for row in body]
    for title, entries in remarks(comparison).items():
        lines += ["", f"## {title}", "", *(f"- {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


def write_tables(comparison: Comparison, out: str | Path) -> list[Path]:
    """Write ``table.json``, ``table.md`` and ``table.html`` into a folder."""
    out = Path(out)
    sections = [Section(title, table=Table(*table(rows))) for title, rows in _tables(comparison)]
    sections += [Section(t, text="; ".join(lines)) for t, lines in remarks(comparison).items()]
    sections += _picture_sections(comparison, out / "cells")
    sections = sections or [Section("Nothing was measured")]
    protocol = _protocol_line(comparison)
    return [
        write_json(out / "table.json", to_json(comparison)),
        write_text(out / "table.md", to_markdown(comparison)),
        write_report(out / "table.html", TITLE, sections, subtitle=protocol),
    ]


def table(
    rows: Sequence[Row], metrics: Sequence[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and cells of rows; a mean over fewer categories than there are says so."""
    columns = list(metrics or dict.fromkeys(m for row in rows for m in row.values))
    named = any(row.category for row in rows)
    header = ["data", *(["category"] if named else []), "method", "shots", *columns]
    body = []
    for row in rows:
        name = [row.data, *([row.category] if named else []), row.method, str(row.shots)]
        body.append(name + [_cell(row, column) for column in columns])
    return header, body


def remarks(comparison: Comparison) -> dict[str, list[str]]:
    """What failed, is undefined, must be known or does not exist; each said once."""
    undefined, notes = [], []
    for record in comparison.records:
        place = f"{record['data']}/{record['category']}"
        by_reason: dict[str, list[str]] = {}
        for metric, reason in record["reasons"].items():
            by_reason.setdefault(reason, []).append(metric)
        undefined += [f"{place}: {', '.join(m)}: {reason}" for reason, m in by_reason.items()]
        notes += [f"{place}: {note}" for note in record["notes"]]
    failed = [
        f"{f['data']}/{f['category']}, {f['method']}, {f['shots']}-shot, seed {f['seed']}: "
        f"{f['error']}"
        for f in comparison.failures
    ]
    found = {
        "Failed": failed,
        "Undefined": undefined,
        "Notes": notes,
        "Left out": comparison.left_out,
        "Binning": _binning(comparison.records),
    }
    return {title: list(dict.fromkeys(lines)) for title, lines in found.items() if lines}


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


def _tables(comparison: Comparison) -> list[tuple[str, list[Row]]]:
    records = comparison.records
    if not records:
        return []
    by_category = category_rows(records)
    several = len({(row.data, row.category) for row in by_category}) > 1
    means = [("Mean over categories", macro_rows(records))] if several else []
    return [*means, ("By category", by_category)]


def _macro(key: Sequence[Any], group: Sequence[Record]) -> Row:
    data, method, shots = key
    seeds = sorted({record["seed"] for record in group})
    names = dict.fromkeys(record["category"] for record in group)
    values = {}
    for metric in _metrics(group):
        found = {(r["category"], r["seed"]): r["metrics"].get(metric, np.nan) for r in group}
        grid = np.array([[found.get((name, seed), np.nan) for seed in seeds] for name in names])
        whole = grid[~np.isnan(grid).any(1)]
        values[metric] = _value(whole.mean(0) if len(whole) else np.array([]), len(whole))
    return Row(data, "", method, shots, values, len(names))


def _over_seeds(group: Sequence[Record], metric: str) -> Value:
    found = np.array([r["metrics"].get(metric, np.nan) for r in group], np.float64)
    return _value(found[~np.isnan(found)], 1)


def _value(runs: np.ndarray, categories: int) -> Value:
    if not runs.size:
        return Value(float("nan"), None, 0, 0)
    sd = float(runs.std(ddof=1)) if runs.size > 1 else None
    return Value(float(runs.mean()), sd, runs.size, categories)


def _cell(row: Row, metric: str) -> str:
    value = row.values.get(metric)
    if value is None:
        return "-"
    part = f" ({value.categories}/{row.categories})"
    return f"{value}{part if 0 < value.categories < row.categories else ''}"


def _grouped(
    records: Sequence[Record], names: Sequence[str]
) -> Iterable[tuple[tuple[Any, ...], list[Record]]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in names), []).append(record)
    return groups.items()


def _metrics(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(metric for record in records for metric in record["metrics"]))


def _picture_sections(comparison: Comparison, folder: Path) -> list[Section]:
    entries: dict[str, list[Entry]] = {}
    for record in comparison.records:
        figures = [
            Figure(read_image(folder / p["file"]), f"{p['kind']}: {p['source']}, {p['score']:.3f}")
            for p in record["pictures"]
            if (folder / p["file"]).is_file()
        ]
        if figures:
            place = f"{record['data']}/{record['category']}"
            title = f"{record['method']}, {record['shots']}-shot"
            entries.setdefault(place, []).append(Entry(title, figures))
    text = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    return [Section(place, text, cards) for place, cards in entries.items()]


def _protocol_line(comparison: Comparison) -> str:
    return "; ".join(f"{key}: {_plain(value)}" for key, value in comparison.protocol.items())


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"
