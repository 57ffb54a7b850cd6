"""Judging of files by a product."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.apps.files import Report, Track
from dense.errors import InputError
from dense.images import decode_image, read_image, write_image
from dense.inspection.decision import Decision, Reason, refuse
from dense.inspection.judge import Judge
from dense.inspection.pictures import draw_decision
from dense.inspection.workshop import Named
from dense.outputs import check_writable, output_names, write_json
from dense.structures import AnomalyResult
from dense.visualize import draw_anomaly

_OTHER = re.compile(r"[^a-z0-9]+")


def read_named(paths: Sequence[Path]) -> Iterator[Named]:
    """Pictures with the names of their files, one by one.

    Raises:
        InputError: If one cannot be read.
    """
    for path in paths:
        yield path.name, read_image(path)


def judge_files(
    judge: Judge,
    paths: Sequence[Path],
    out: str | Path,
    *,
    track: Track[Path] | None = None,
) -> Report:
    """Judge files into ``NAME_heat.png``, ``NAME_mask.png`` and ``results.json``.

    A rejected picture of a product with words also gets a heat map a word. A file that cannot be
    read is a refused picture: it is never left out.

    Args:
        judge: Of the product.
        paths: The pictures.
        out: Folder of the results.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If the place cannot be written.
    """
    out, started = check_writable(out), time.perf_counter()
    names = dict(zip(paths, output_names(paths), strict=True))
    records: list[Report] = []
    for path in track(paths, len(paths), "judge") if track else paths:
        image, decision = _judge(judge, path)
        files = _write(out, names[path], image, decision)
        records.append({**decision.to_json(), "files": files})
    report: Report = {
        "command": "product judge",
        "product": judge.product,
        "version": judge.version,
        "guarantee": None if judge.guarantee is None else judge.guarantee.to_json(),
        "verdicts": dict(Counter(str(record["verdict"]) for record in records)),
        "decisions": records,
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_json(out / "results.json", report)
    return report


def _judge(judge: Judge, path: Path) -> tuple[NDArray[np.uint8] | None, Decision]:
    data = b""
    try:
        data = path.read_bytes()
        image = decode_image(data, str(path))
    except (OSError, InputError) as error:
        why = Reason("unreadable", str(error))
        content = hashlib.sha256(data).hexdigest()
        return None, refuse(judge.product, judge.version, str(path), content, [why])
    return image, judge.judge(image, str(path), hashlib.sha256(data).hexdigest())


def _write(
    out: Path, name: str, image: NDArray[np.uint8] | None, decision: Decision
) -> dict[str, str]:
    """Write the maps of a decision; returns their file names by kind."""
    evidence = decision.evidence
    if image is None or evidence is None:
        return {}
    files = {"heat": f"{name}_heat.png"}
    write_image(out / files["heat"], draw_decision(image, decision))
    if evidence.mask is not None:
        files["mask"] = f"{name}_mask.png"
        write_image(out / files["mask"], np.where(evidence.mask, 255, 0).astype(np.uint8))
    for place, (word, seen) in enumerate(evidence.words.items(), 1):
        files[word] = f"{name}_word{place}_{_OTHER.sub('-', word.casefold())[:40]}.png"
        heat = draw_anomaly(image, AnomalyResult(seen, float(seen.max())), scale=(0.0, 1.0))
        write_image(out / files[word], heat)
    return files
