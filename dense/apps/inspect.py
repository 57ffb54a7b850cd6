"""Inspection of files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.images import find_images, read_image, write_image
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.decisions import explain_decision
from dense.methods.catalog import find_method
from dense.outputs import check_writable, write_json
from dense.prompts import NO_WORDS, StateWords
from dense.refine.cutters import find_cutter
from dense.refine.masks import refine_anomaly
from dense.structures import AnomalyResult, Sample
from dense.visualize import draw_anomaly


def read_support(
    source: str | Path | Sequence[Path],
    *,
    category: str = "",
    shots: int | None = None,
    seed: int = 0,
) -> list[Sample]:
    """Read normal images, all of them or `shots` drawn with a seed.

    Raises:
        InputError: If there are none, too few, or one cannot be read.
    """
    paths = find_images(source) if isinstance(source, (str, Path)) else list(source)
    if shots is not None:
        if not 1 <= shots <= len(paths):
            raise InputError(
                f"{shots} support images were asked for, but {source} has {len(paths)}"
            )
        chosen = np.random.default_rng(seed).choice(len(paths), shots, replace=False)
        paths = [paths[place] for place in sorted(chosen)]
    return [Sample(read_image(path), path, label=0, category=category) for path in paths]


def make_inspector(
    backbone: CLIPBackbone,
    product: str,
    *,
    method: str = "winclip",
    support: Sequence[Sample] | None = None,
    threshold: float | None = None,
    weights: str | Path | None = None,
    state_words: StateWords = NO_WORDS,
) -> Inspector:
    """Build an inspector for one product, fitted if there are support images.

    Args:
        backbone: A loaded CLIP.
        product: Words for the product.
        method: A name of `dense.methods.catalog`.
        support: Normal pictures.
        threshold: Score from which pictures and pixels count as defective.
        weights: File of the learned parts, for trained methods.
        state_words: Words to look for and to ignore, for methods that read words.

    Raises:
        InputError: If the method is unknown or cannot use the support or the words.
    """
    inspector: Inspector = find_method(method, "inspect").builder()(
        backbone,
        product,
        shots=0 if support is None else len(support),
        threshold=threshold,
        weights=weights,
    )
    if state_words:
        inspector.steer(state_words)
    return inspector if support is None else inspector.fit(support)


def inspect_images(
    inspector: Inspector,
    paths: Sequence[Path],
    out: str | Path,
    *,
    category: str = "",
    scale: tuple[float, float] | None = None,
    explain: bool = False,
    refine: str | None = None,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Inspect files into ``NAME_heat.png``, ``NAME_map.png`` (16 bits) and ``results.json``.

    Args:
        inspector: Fitted on support images or not.
        paths: The pictures.
        out: Folder of the results.
        category: Which of the inspector's products the pictures show.
        scale: (low, high) anomaly values of the heat colours; by default the method's `heat_scale`.
        explain: Also say which words and patches made each score, see
            `dense.methods.anomaly.decisions`.
        refine: Cutter of `dense.refine.cutters` that redraws defect masks.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read, the place cannot be written, or the method's scores
            have no exact shares.
    """
    out = check_writable(out)
    scale, started = scale or inspector.heat_scale, time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    cutter = None if refine is None else find_cutter(refine)
    samples = read_all(paths, skipped, category)
    for name, sample in track(samples, len(paths), "inspect") if track else samples:
        begun = time.perf_counter()
        result = inspector.predict([sample])[0]
        if cutter is not None:
            result = refine_anomaly(cutter, sample.image, result)
        seconds = time.perf_counter() - begun
        write_image(out / f"{name}_heat.png", draw_anomaly(sample.image, result, scale=scale))
        write_image(out / f"{name}_map.png", map_to_levels(result, scale))
        records.append(
            {
                **about(sample, seconds),
                "score": result.score,
                "is_anomalous": result.is_anomalous,
                "peak": peak(result),
                "heat": f"{name}_heat.png",
                "map": f"{name}_map.png",
            }
        )
        if explain:
            records[-1]["decision"] = explain_decision(inspector, sample).plain()
    report: Report = {
        "command": "inspect",
        "method": inspector.describe() | ({} if cutter is None else cutter.describe()),
        "product": inspector.products.get(category, category),
        "scale": list(scale),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def map_to_levels(result: AnomalyResult, scale: tuple[float, float]) -> NDArray[np.uint16]:
    """Turn an anomaly map into 16-bit levels (H, W): 0 at the low, 65535 at the high end."""
    share = (np.nan_to_num(result.anomaly_map) - scale[0]) / (scale[1] - scale[0])
    return np.rint(np.clip(share, 0, 1) * 65535).astype(np.uint16)


def peak(result: AnomalyResult) -> dict[str, object]:
    """Where the map is highest, in original pixels, and how high."""
    y, x = np.unravel_index(int(np.argmax(result.anomaly_map)), result.anomaly_map.shape)
    return {"x": int(x), "y": int(y), "value": float(result.anomaly_map[y, x])}
