"""Rejection of pictures that show no known product."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.evaluation.rejection import evaluate_rejection
from dense.images import find_images, read_image
from dense.methods.catalog import find_method
from dense.methods.reject.base import Rejector
from dense.structures import Sample

_LOG = logging.getLogger(__name__)


def read_known(source: str | Path) -> list[Sample]:
    """Read pictures of what is known: a folder of pictures, or of one folder a class.

    Raises:
        InputError: If there are none, or one cannot be read.
    """
    root = Path(source)
    if not root.is_dir():
        raise InputError(f"known pictures must lie in a folder, got {source}")
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    if not folders:
        return [Sample(read_image(path), path) for path in find_images(root)]
    return [
        Sample(read_image(path), path, category=folder.name)
        for folder in folders
        for path in find_images(folder)
    ]


def make_rejector(
    backbone: CLIPBackbone,
    classes: Sequence[str] = (),
    *,
    method: str = "mahalanobis",
    known: Sequence[Sample] | None = None,
    accept: float = 0.95,
    threshold: float | None = None,
    weights: str | Path | None = None,
) -> Rejector:
    """Build a rejector, fitted if there are known pictures.

    Args:
        backbone: A loaded CLIP.
        classes: Words for what is known; the known pictures' folder names if empty.
        method: A "reject" method of `dense.methods.catalog`.
        known: Pictures of what is known.
        accept: Share of known pictures that should pass.
        threshold: Score from which a picture is foreign, instead of `accept`.
        weights: CLIPN's checkpoint, for ``no-prompts``.

    Raises:
        InputError: If the method is unknown or cannot use what is given.
    """
    rejector: Rejector = find_method(method, "reject").builder()(
        backbone, classes, accept=accept, threshold=threshold, weights=weights
    )
    if known is None:
        return rejector
    needed = math.ceil(accept / (1 - accept) - 1e-9)
    if threshold is None and len(known) < needed:
        _LOG.warning(
            "%d known pictures cannot set a limit that lets %g of them pass, and verdicts may be "
            "wrong: bring %d or more, or state --threshold",
            len(known),
            accept,
            needed,
        )
    return rejector.fit(known)


def reject_images(
    rejector: Rejector,
    paths: Sequence[Path],
    *,
    foreign: Sequence[Sample] | None = None,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Score files.

    Args:
        rejector: Fitted on known pictures or not.
        paths: The pictures.
        foreign: Pictures that are known to be foreign: the report then has `metrics`.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read.
    """
    started = time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    samples = read_all(paths, skipped)
    for _, sample in track(samples, len(paths), "reject") if track else samples:
        begun = time.perf_counter()
        result = rejector.predict([sample])[0]
        records.append(
            {
                **about(sample, time.perf_counter() - begun),
                "score": result.score,
                "is_foreign": result.is_foreign,
                "nearest": result.nearest,
            }
        )
    metrics = {} if foreign is None else {"metrics": evaluate_rejection(rejector, foreign)}
    return {
        "command": "reject",
        "method": rejector.describe(),
        **metrics,
        **outcome(records, skipped, started),
    }
