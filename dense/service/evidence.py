"""The maps of a decision as one small file, and pictures drawn from it.

Maps come from a grid of patches and are smooth, so they are kept as 8-bit pictures of at most
`SIDE` pixels a side, in levels of the heat scale; the mask is kept whole. The file is safetensors
(no code in it) with PNG files as its parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from dense.errors import InputError
from dense.inspection.decision import Evidence
from dense.legends import heat_colours

SIDE = 1024
OPACITY = 0.65

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Kept:
    """What was kept of `Evidence`.

    Attributes:
        size: (H, W) of the picture.
        heat: (h, w) levels of the anomaly map.
        mask: (H, W) bool, ``None`` before calibration.
        words: (h, w) levels by word.
        scale: (low, high) that the levels of `heat` run over.
    """

    size: tuple[int, int]
    heat: Levels
    mask: NDArray[np.bool_] | None
    words: Mapping[str, Levels]
    scale: tuple[float, float]


def encode_evidence(evidence: Evidence) -> bytes:
    """The file; the same maps give the same bytes."""
    size = evidence.anomaly_map.shape
    words = list(evidence.words)
    parts = {"heat": _png(_levels(evidence.anomaly_map, evidence.scale))}
    if evidence.mask is not None:
        parts["mask"] = _png(np.where(evidence.mask, 255, 0).astype(np.uint8), bits=1)
    for place, word in enumerate(words):
        parts[f"word{place}"] = _png(_levels(evidence.words[word], (0.0, 1.0)))
    about = {"size": [int(side) for side in size], "words": words, "scale": list(evidence.scale)}
    tensors = {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}
    return save(tensors, {"about": json.dumps(about)})


def decode_evidence(data: bytes) -> Kept:
    """The reverse.

    Raises:
        InputError: If the file is broken.
    """
    try:
        about, parts = _read(data)
        height, width = about["size"]
        mask = _picture(parts["mask"]) > 0 if "mask" in parts else None
        words = {str(w): _picture(parts[f"word{n}"]) for n, w in enumerate(about["words"])}
        low, high = about["scale"]
        kept = Kept((height, width), _picture(parts["heat"]), mask, words, (low, high))
    except (SafetensorError, KeyError, ValueError, TypeError, cv2.error) as error:
        raise InputError(f"the maps of this decision are broken: {error}") from error
    if mask is not None and mask.shape != kept.size:
        raise InputError("the maps of this decision are broken: their sizes disagree")
    return kept


def draw_heat(levels: Levels, size: tuple[int, int]) -> bytes:
    """Heat colours as an RGBA PNG of a size (H, W), to be laid over the picture."""
    resized = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR)
    whole = np.asarray(resized, np.uint8)
    share = np.minimum(whole.astype(np.float32) * (1.6 / 255), 1.0) * (OPACITY * 255)
    colours = heat_colours(whole)[..., ::-1]
    return _png(np.dstack([colours, share.round().astype(np.uint8)]))


def draw_mask(mask: NDArray[np.bool_]) -> bytes:
    """A mask as a black and white PNG."""
    return _png(np.where(mask, 255, 0).astype(np.uint8), bits=1)


def _read(data: bytes) -> tuple[dict[str, list[int]], dict[str, bytes]]:
    parts = {name: bytes(part["data"]) for name, part in deserialize(data)}
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return json.loads(header["__metadata__"]["about"]), parts


def _levels(values: NDArray[np.float32], scale: tuple[float, float]) -> Levels:
    low, high = scale
    shrink = SIDE / max(values.shape)
    if shrink < 1:
        values = cv2.resize(values, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    share = (np.nan_to_num(values) - low) / max(high - low, 1e-12)
    return np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)


def _png(values: Levels, bits: int = 8) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if bits == 1:
        options += [cv2.IMWRITE_PNG_BILEVEL, 1]
    good, data = cv2.imencode(".png", values, options)
    if not good:
        raise InputError(f"a map of {values.shape} cannot be written as PNG")
    return data.tobytes()


def _picture(data: bytes) -> Levels:
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if read is None:
        raise ValueError("a part is no picture")
    return np.asarray(read, np.uint8)
