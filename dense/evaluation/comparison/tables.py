"""A comparison as numbers: JSON, Markdown, a page; the same for every task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dense.evaluation.comparison.cells import Comparison, Record
from dense.outputs import write_json, write_text
from dense.report import Section, Table, write_report


@dataclass(frozen=True)
class Value:
    """A number of a table: mean, sample standard deviation, and what the mean is of.

    Attributes:
        mean: nan where the number is undefined.
        sd: ``None`` for a single run.
        runs: Runs (seeds) that the mean is of.
        parts: Parts (categories) that the mean is of.
        of: Parts that there are; a mean over fewer says so.
        digits: Shown after the point.
    """

    mean: float
    sd: float | None = None
    runs: int = 0
    parts: int = 0
    of: int = 1
    digits: int = 1

    def __str__(self) -> str:
        if self.mean != self.mean:
            return "-"
        spread = "" if self.sd is None else f" ± {self.sd:.{self.digits}f}"
        part = f" ({self.parts}/{self.of})" if 0 < self.parts < self.of else ""
        return f"{self.mean:.{self.digits}f}{spread}{part}"

    def to_json(self) -> Record:
        """Plain numbers."""
        return {"mean": self.mean, "sd": self.sd, "runs": self.runs, "parts": self.parts}


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        names: What it is about, by column.
        values: Its numbers, by column.
        details: More for the JSON file, e.g. numbers of every class.
    """

    names: dict[str, Any]
    values: dict[str, Value]
    details: Record = field(default_factory=dict)

    def to_json(self) -> Record:
        """Names, numbers and details, plain."""
        values = {metric: value.to_json() for metric, value in self.values.items()}
        return {**self.names, "values": values, **self.details}


def grouped(
    records: Sequence[Record], names: Sequence[str]
) -> Iterable[tuple[dict[str, Any], list[Record]]]:
    """Records that agree in some entries, with these, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in names), []).append(record)
    return [(dict(zip(names, key, strict=True)), group) for key, group in groups.items()]


def protocol_cards(
    records: Sequence[Record], title: Callable[[Record], str] = lambda record: record["method"]
) -> list[str]:
    """What each cell was made with, a line each."""
    return [
        f"{record['data']}, {title(record)}: "
        + "; ".join(f"{key} {value}" for key, value in record["protocol"].items())
        for record in records
    ]


def table(
    rows: Sequence[Row], metrics: Sequence[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and cells of rows."""
    columns = list(metrics or dict.fromkeys(m for row in rows for m in row.values))
    names = list(rows[0].names) if rows else []
    body = []
    for row in rows:
        cells = [str(row.values[c]) if c in row.values else "-" for c in columns]
        body.append([*(str(row.names[name]) for name in names), *cells])
    return [*names, *columns], body


def remarks(comparison: Comparison) -> dict[str, list[str]]:
    """What failed, must be known or does not exist; each said once."""
    found = {
        "Failed": [f"{failure['cell']}: {failure['error']}" for failure in comparison.failures],
        **comparison.task.remarks(comparison.records),
        "Left out": comparison.task.left_out,
    }
    return {title: list(dict.fromkeys(lines)) for title, lines in found.items() if lines}


def to_json(comparison: Comparison) -> dict[str, object]:
    """Everything: protocol, rows, single cells, failures; undefined numbers are null."""
    tables = comparison.task.summed.tables(comparison.records)
    return {
        "command": f"compare, {comparison.task.name}",
        "protocol": comparison.protocol,
        **{
            title.replace(" ", "_"): [row.to_json() for row in rows]
            for title, rows in tables.items()
        },
        "cells": comparison.records,
        "failed": comparison.failures,
        "left_out": comparison.task.left_out,
    }


def to_markdown(comparison: Comparison) -> str:
    """The tables with every metric, the protocol, and what is undefined or failed."""
    lines = [f"# {comparison.task.title}", ""]
    lines += [f"- {key}: {_plain(value)}" for key, value in comparison.protocol.items()]
    for title, rows in comparison.task.summed.tables(comparison.records).items():
        header, body = table(rows)
        lines += ["", f"## {_heading(title)}", "", _line(header), _line(["---"] * len(header))]
        lines += [_line(row) for row in body]
    for title, entries in remarks(comparison).items():
        lines += ["", f"## {title}", "", *(f"- {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


def write_tables(comparison: Comparison, out: str | Path) -> list[Path]:
    """Write ``table.json``, ``table.md`` and ``table.html`` into a folder."""
    out, task = Path(out), comparison.task
    sections = [
        Section(_heading(title), table=Table(*table(rows)))
        for title, rows in task.summed.tables(comparison.records).items()
    ]
    sections += [Section(t, text="; ".join(lines)) for t, lines in remarks(comparison).items()]
    sections += task.summed.sections(comparison.records, out / "cells")
    sections = sections or [Section("Nothing was measured")]
    protocol = protocol_line(comparison)
    return [
        write_json(out / "table.json", to_json(comparison)),
        write_text(out / "table.md", to_markdown(comparison)),
        write_report(out / "table.html", task.title, sections, subtitle=protocol),
    ]


def protocol_line(comparison: Comparison) -> str:
    """The protocol in one line."""
    return "; ".join(f"{key}: {_plain(value)}" for key, value in comparison.protocol.items())


def _heading(title: str) -> str:
    return title[:1].upper() + title[1:]


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"
