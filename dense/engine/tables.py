"""Results as tables in the terminal, with the protocol card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from rich.console import Console
from rich.table import Table

from dense.engine.run import Report

COLUMNS = {
    "per_class": ("iou", "acc", "pq", "sq", "rq"),
    "per_category": ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro"),
}
MEANS = {"iou": "miou", "acc": "macc"}


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report of `test_config`: the table, then the protocol card."""
    out = console or Console(width=None if Console().is_terminal else 110)
    out.print(result_table(report))
    out.print(_notes(report), highlight=False, markup=False)


def result_table(report: Report) -> Table:
    """One row a class or category with its scores in percent, and the overall row last.

    Where there are no classes or categories, one row a score.
    """
    part = "per_class" if "per_class" in report else "per_category"
    rows = cast(Mapping[str, Mapping[str, float]], report[part])
    overall = cast(Mapping[str, float], report["overall"])
    table = Table(show_edge=False, header_style="bold", pad_edge=False)
    if not rows:
        table.add_column("score")
        table.add_column("overall", justify="right")
        for name, value in overall.items():
            table.add_row(name, _number(value))
        return table
    known = {column for scores in rows.values() for column in scores}
    columns = tuple(c for c in COLUMNS[part] if c in known)
    table.add_column("class" if part == "per_class" else "category", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    for name, scores in rows.items():
        table.add_row(name, *(_number(scores.get(column)) for column in columns))
    table.add_section()
    means = [_number(overall.get(MEANS.get(column, column))) for column in columns]
    table.add_row("overall", *means, style="bold")
    return table


def _notes(report: Report) -> str:
    overall = cast(Mapping[str, float], report["overall"])
    scores = "  ".join(f"{key} {_number(value)}" for key, value in overall.items())
    card = cast(Mapping[str, object], report["protocol"])
    protocol = "  ".join(f"{key}={value}" for key, value in card.items())
    seconds, samples = cast(float, report["seconds"]), cast(int, report["samples"])
    speed = f"{samples} samples in {seconds:.1f} s ({1000 * seconds / max(1, samples):.0f} ms each)"
    return f"\n{scores}\n{speed}\nprotocol: {protocol}"


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2f}"
