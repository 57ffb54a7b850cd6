"""Models: a product made and calibrated from the data sets of a project."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from dense.errors import InputError
from dense.inspection.conformal import lowest_alpha
from dense.inspection.ledger import acting_as
from dense.inspection.order import Named, Order, Revision
from dense.inspection.store.registry import Record
from dense.service.core import Core
from dense.service.lookout.projects import EntryRow, ModelRow, ProjectRow, Projects
from dense.service.parts import Kind, Part

ALPHA = 0.05
"""Share of good parts that may be rejected, where there are enough of them to promise it."""
FEW, MOST_SUPPORT = 8, 16
"""Fewer normal pictures all become support; of more a quarter does, and the rest calibrates."""


def train(core: Core, projects: Projects, name: str, description: str, actor: str) -> Record:
    """Make a version of the product from the project's data sets.

    Raises:
        InputError: If there are too few normal pictures.
    """
    project = projects.get(name)
    normal, anomalous = _labelled(project, "train")
    more_normal, more_anomalous = _labelled(project, "test")
    if len(normal) < 2:
        raise InputError(f"the train dataset needs at least two normal images, got {len(normal)}")
    support, beside = split(normal)
    alpha = possible_alpha(len(beside) or len(support))
    anomalous = [*anomalous, *more_anomalous]
    with core.heavy(), acting_as(actor):
        _make(core, name, list(_read(core, support)))
        record = core.workshop.calibrate(
            name,
            alpha=alpha,
            good=_read(core, beside) if beside else None,
            defects=_read(core, anomalous) if anomalous else None,
        )
        performance = _measure(core, name, more_normal, more_anomalous)
    core.parts.replace(name, "good", _parts("good", beside))
    core.parts.replace(name, "defect", _parts("defect", anomalous))
    row: ModelRow = {
        "made": time.time(),
        "description": description,
        "hosted": False,
        "performance": performance,
    }
    projects.change(name, lambda found: found["models"].update({str(record.version): row}))
    return record


def split(normal: Sequence[EntryRow]) -> tuple[list[EntryRow], list[EntryRow]]:
    """Normal pictures that a product is made from, and those that set its threshold."""
    count = len(normal) if len(normal) < FEW else min(MOST_SUPPORT, len(normal) // 4)
    return list(normal[:count]), list(normal[count:])


def possible_alpha(parts: int) -> float:
    """`ALPHA`, or the least that so many parts can promise, rounded up."""
    return max(ALPHA, math.ceil(lowest_alpha(parts) * 1000) / 1000)


def _make(core: Core, name: str, support: list[Named]) -> None:
    if name not in core.registry.names():
        version = core.ledger.last_version(name) + 1
        core.workshop.create(Order(name), support, version=version)
        return
    known = core.record(name).product
    without = frozenset(picture.pixels for picture in known.support)
    revision = Revision("made anew from the train dataset", add=support, without=without)
    core.workshop.revise(name, revision)


def _measure(
    core: Core, name: str, normal: Sequence[EntryRow], anomalous: Sequence[EntryRow]
) -> dict[str, float] | None:
    """Precision and recall on the test data set, whose anomalous pictures set no threshold."""
    if not normal and not anomalous:
        return None
    judge = core.workshop.judge(name)
    raised = [0, 0]
    for place, entries in enumerate((normal, anomalous)):
        for title, image in _read(core, entries):
            decision = judge.judge(image, title, "0" * 64)
            raised[place] += decision.verdict != "pass"
    false, true = raised
    recall = true / len(anomalous) if anomalous else 0.0
    precision = true / (true + false) if true + false else 0.0
    both = precision + recall
    return {
        "F1Score": 2 * precision * recall / both if both else 0.0,
        "Recall": recall,
        "Precision": precision,
    }


def _labelled(project: ProjectRow, kind: str) -> tuple[list[EntryRow], list[EntryRow]]:
    dataset = project["datasets"].get(kind)
    entries = [] if dataset is None else dataset["entries"]
    return (
        [entry for entry in entries if not entry["anomalous"]],
        [entry for entry in entries if entry["anomalous"]],
    )


def _parts(kind: Kind, entries: Sequence[EntryRow]) -> list[Part]:
    return [Part(kind, e["sha256"][:12], e["sha256"], e["suffix"]) for e in entries]


def _read(core: Core, entries: Sequence[EntryRow]) -> Iterator[Named]:
    return core.parts.read(_parts("good", entries))
