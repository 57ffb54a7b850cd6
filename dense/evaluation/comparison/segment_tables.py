"""Segmentation cells summed up: the counts of all parts of a data set make one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.extremes import figures
from dense.evaluation.comparison.tables import Row, Value, grouped
from dense.evaluation.segment_tally import SegmentTally
from dense.report import Entry, Section, Table

if TYPE_CHECKING:
    from dense.evaluation.comparison.segment_plan import SegmentCell

NAMES = ("data", "classes", "protocol", "method", "refine")
KINDS = {
    "worst": "picture with the lowest mean IoU of its own",
    "best": "picture with the highest",
}
TERMINAL = ("miou", "macc", "aacc", "boundary_miou", "ece", "images_per_s", "method_x", "refine_x")
SCORED = ("miou", "macc", "aacc", "boundary_miou", "ece")


def tables(records: Sequence[Record]) -> dict[str, list[Row]]:
    """Every method on every data set."""
    rows = [_row(names, group) for names, group in grouped(records, NAMES)]
    return {"methods": rows} if rows else {}


def remarks(records: Sequence[Record]) -> dict[str, list[str]]:
    """The protocol cards."""
    return {"Protocol cards": _cards(records)}


def incomplete(records: Sequence[Record], cells: Sequence[SegmentCell]) -> list[str]:
    """Rows that lack pictures because a part failed."""
    parts: dict[tuple[Any, ...], int] = {}
    for cell in cells:
        key = tuple(cell.names()[name] for name in NAMES)
        parts[key] = parts.get(key, 0) + 1
    return [
        f"{', '.join(names.values())}: {len(group)} of {parts[tuple(names.values())]} parts"
        for names, group in grouped(records, NAMES)
        if len(group) < parts[tuple(names.values())]
    ]


def sections(records: Sequence[Record], folder: Path) -> list[Section]:
    """IoU of every class, method by method; then the worst and best pictures."""
    found = []
    for names, group in grouped(records, ("data", "classes", "protocol")):
        rows = tables(group)["methods"]
        place = ", ".join(names.values())
        found.append(Section(f"IoU by class: {place}", table=_class_table(rows)))
    text = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    for names, group in grouped(records, ("data", "classes", "protocol")):
        entries = []
        for method, own in grouped(group, ("method", "refine")):
            shown = figures(_leading(own), folder, 1)
            if shown:
                entries.append(Entry(", refine ".join(method.values()), shown))
        if entries:
            found.append(Section(", ".join(names.values()), text, entries))
    return found


def total(seconds: Mapping[str, float]) -> float:
    """Time of a picture from pixels to classes, as if the method ran alone."""
    return sum(seconds[step] for step in ("trace", "score", "refine", "decide"))


def _row(names: dict[str, Any], group: Sequence[Record]) -> Row:
    class_names = group[0]["class_names"]
    tally = SegmentTally(len(class_names))
    for record in group:
        tally.add_json(record["counts"])
    seconds = {step: sum(r["seconds"][step] for r in group) for step in group[0]["seconds"]}
    images, forward = sum(record["images"] for record in group), seconds["forward"]
    scores = tally.scores()
    values = {metric: Value(scores[metric], runs=1, parts=1) for metric in SCORED}
    values |= {
        "images": Value(images, digits=0),
        "images_per_s": Value(images / total(seconds), digits=2),
        "peak_mb": Value(max(r["peak"] for r in group) / 2**20, digits=0),
        "method_x": Value((seconds["trace"] + seconds["score"]) / forward, digits=2),
        "refine_x": Value(seconds["refine"] / forward, digits=2),
    }
    confusion = tally.counts.confusion
    details = {
        "protocol_card": group[0]["protocol_card"],
        "per_class": tally.per_class(class_names),
        "class_names": [*class_names, "undecided"],
        "confusion": confusion.tolist(),
        "seconds": seconds,
    }
    return Row(names, values, details)


def _cards(records: Sequence[Record]) -> list[str]:
    """What all cards share, then what each adds."""
    cards = {
        ", ".join(names.values()): group[0]["protocol_card"]
        for names, group in grouped(records, NAMES)
    }
    if not cards:
        return []
    first = next(iter(cards.values()))
    common = {
        key: value
        for key, value in first.items()
        if all(key in card and card[key] == value for card in cards.values())
    }
    own = [
        f"{name}: {_pairs({k: v for k, v in card.items() if k not in common})}"
        for name, card in cards.items()
    ]
    return [f"all: {_pairs(common)}", *own]


def _pairs(card: Mapping[str, object]) -> str:
    return "; ".join(f"{key} {value}" for key, value in card.items())


def _class_table(rows: Sequence[Row]) -> Table:
    header = ["class", *(f"{row.names['method']}, {row.names['refine']}" for row in rows)]
    body = []
    for place, entry in enumerate(rows[0].details["per_class"]):
        found = [row.details["per_class"][place]["iou"] for row in rows]
        body.append([entry["class"], *("-" if v != v else f"{v:.1f}" for v in found)])
    return Table(header, body)


def _leading(records: Sequence[Record]) -> list[Record]:
    """The worst and the best picture over all parts."""
    chosen = []
    for kind in KINDS:
        found = [p for record in records for p in record["pictures"] if p["kind"] == kind]
        if found:
            chosen.append((min if kind == "worst" else max)(found, key=lambda p: p["score"]))
    return chosen
