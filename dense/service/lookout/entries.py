"""JSON Lines of data sets: a picture and whether it is normal."""

from __future__ import annotations

import base64
import json
import time

from dense.errors import InputError
from dense.service.core import Core
from dense.service.formats import SUFFIXES
from dense.service.lookout.projects import MOST_ENTRIES, DatasetRow, EntryRow
from dense.service.pictures import decode

LABEL = "anomaly-label"


def read_lines(core: Core, changes: str) -> list[EntryRow]:
    """Read and keep the pictures of base64 JSON Lines.

    Raises:
        InputError: If a line has another form, or names a picture elsewhere: nothing is fetched.
    """
    try:
        text = base64.b64decode(changes, validate=True).decode("utf-8")
    except ValueError as error:
        raise InputError("Changes must be JSON Lines in UTF-8, as base64") from error
    rows = [line for line in text.splitlines() if line.strip()]
    if len(rows) > MOST_ENTRIES:
        raise InputError(f"at most {MOST_ENTRIES} entries at once, got {len(rows)}")
    return [_read(core, line, number) for number, line in enumerate(rows, 1)]


def merge(dataset: DatasetRow, entries: list[EntryRow]) -> None:
    """Add entries; one with the same picture is replaced.

    Raises:
        InputError: If there are too many.
    """
    by_picture = {entry["sha256"]: entry for entry in [*dataset["entries"], *entries]}
    if len(by_picture) > MOST_ENTRIES:
        raise InputError(f"a dataset has at most {MOST_ENTRIES} entries")
    dataset["entries"] = list(by_picture.values())
    dataset["changed"] = time.time()


def show(entry: EntryRow) -> str:
    """The JSON Line of an entry; the picture is named by its SHA-256."""
    name = "anomaly" if entry["anomalous"] else "normal"
    line = {
        "source-ref": f"sha256:{entry['sha256']}",
        LABEL: int(entry["anomalous"]),
        f"{LABEL}-metadata": {
            "class-name": name,
            "confidence": 1.0,
            "human-annotated": "yes",
            "type": "groundtruth/image-classification",
        },
    }
    return json.dumps(line)


def _read(core: Core, line: str, number: int) -> EntryRow:
    try:
        content = json.loads(line)
        source = content["source-ref"]
        anomalous = _label(content)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"line {number} must be an object with source-ref and {LABEL} (0 normal, 1 anomalous)"
        ) from error
    head, _, data = str(source).partition(",")
    kind = head.removeprefix("data:").removesuffix(";base64")
    if not head.startswith("data:") or not head.endswith(";base64") or kind not in SUFFIXES:
        raise InputError(
            f"line {number}: source-ref must be the picture itself, data:image/png;base64,… or "
            "data:image/jpeg;base64,…: this service fetches nothing from elsewhere"
        )
    try:
        picture = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise InputError(f"line {number}: the picture is no base64") from error
    decode(picture, SUFFIXES[kind], f"the picture of line {number}", core.limits.pixels)
    return {
        "sha256": core.registry.pictures.put(picture),
        "suffix": SUFFIXES[kind],
        "anomalous": anomalous,
        "added": time.time(),
    }


def _label(content: dict[str, object]) -> bool:
    about = content.get(f"{LABEL}-metadata")
    if isinstance(about, dict) and isinstance(about.get("class-name"), str):
        return str(about["class-name"]).casefold() != "normal"
    label = content[LABEL]
    if label not in (0, 1):
        raise ValueError("no label")
    return bool(label)
