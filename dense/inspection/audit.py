"""Is every picture among the good ones a good one of this product?

Each support picture is compared with the others: the distances of its patches to the memory of
the others (a defect is a place that no other picture has, another product is one nearly
everywhere), and the local density of its feature (local outlier factor, Breunig et al., SIGMOD
2000). Distances are compared by their median and its absolute deviation, which one bad picture
cannot move; several that share a defect can hide each other. Density alone flags nothing: among a
handful of pictures a good one is often the loneliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.inspection.team import Maker, fit_members, input_size
from dense.inspection.view import View
from dense.methods.anomaly.memory import MemoryInspector
from dense.methods.anomaly.patches import top_mean
from dense.structures import Sample

FEWEST = 3
"""Pictures that an audit needs: with two, neither is the odd one."""
FAR = 3.5
"""Modified z-score above which a picture is flagged (Iglewicz and Hoaglin 1993)."""
SMALLEST_SPREAD = 0.1
"""Share of the median below which scores count as alike."""
LONELY = 1.5
"""Local outlier factor above which an unlike picture counts as another product."""

Kind = Literal["bad part", "foreign", "twice"]


@dataclass(frozen=True)
class Audited:
    """What was found about one support picture.

    Attributes:
        name: Of its file.
        score: Distance of its patches to the others', leave-one-out.
        deviation: The same in robust standard deviations above the median.
        density: Local outlier factor of its feature, 1 for one amid the others.
        findings: What is wrong, empty for nothing.
    """

    name: str
    score: float
    deviation: float
    density: float
    findings: tuple[tuple[Kind, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "name": self.name,
            "score": self.score,
            "deviation": self.deviation,
            "density": self.density,
            "findings": [{"kind": kind, "text": text} for kind, text in self.findings],
        }


def audit_support(
    backbone: CLIPBackbone,
    names: Sequence[str],
    images: Sequence[NDArray[np.uint8]],
    features: Tensor,
    view: View,
) -> list[Audited]:
    """Look at each support picture against the others.

    Args:
        backbone: A loaded CLIP.
        names: Of the pictures.
        images: (H, W, 3) each.
        features: (n, D) unit features of whole pictures.
        view: Where to look.

    Raises:
        InputError: If there are too few pictures.
    """
    if len(images) < FEWEST:
        raise InputError(
            f"an audit compares pictures with each other: at least {FEWEST} are needed, got "
            f"{len(images)}"
        )
    scores, typical = leave_one_out_distances(backbone, images, view)
    deviations, everywhere = robust_deviations(scores), robust_deviations(typical)
    densities = local_outlier_factors(features)
    twins = _twins(names, images)
    return [
        Audited(
            name,
            float(scores[place]),
            float(deviations[place]),
            float(densities[place]),
            _findings(deviations[place], everywhere[place], densities[place], twins[place]),
        )
        for place, name in enumerate(names)
    ]


def leave_one_out_distances(
    backbone: CLIPBackbone, images: Sequence[NDArray[np.uint8]], view: View
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) mean of the largest, and median, patch distance of each picture to the others'."""
    maker = Maker(backbone, "part", "patch")
    (memory,) = fit_members(maker, images, [range(len(images))], view)
    if not isinstance(memory, MemoryInspector):
        raise InputError("the audit needs a memory of patches")
    scores, typical = [], []
    with torch.inference_mode():
        for place, image in enumerate(images):
            parts = view.cut(Sample(image), input_size(memory))
            maps = [memory.distance(look, without=str(place)) for look in memory.look(parts)]
            scores.append(max(top_mean(part, memory.settings.top) for part in maps))
            typical.append(float(torch.cat([part.flatten() for part in maps]).median()))
    return np.asarray(scores), np.asarray(typical)


def robust_deviations(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Modified z-scores: deviations from the median in units of 1.4826 median deviations."""
    median = np.median(scores)
    spread = 1.4826 * np.median(np.abs(scores - median))
    return (scores - median) / max(spread, SMALLEST_SPREAD * abs(median), 1e-12)


def local_outlier_factors(features: Tensor) -> NDArray[np.float64]:
    """(n,) how much sparser it is around each row than around its neighbours; 1 for equally.

    Args:
        features: (n, D) unit rows, n ≥ 2; distances are Euclidean.
    """
    points = features.double()
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    np.fill_diagonal(distances, np.inf)
    count = max(1, min(5, (len(points) - 1) // 2))
    near = np.argsort(distances, axis=1, kind="stable")[:, :count]
    reach = np.take_along_axis(distances, near, 1)
    furthest = reach[:, -1]
    density = 1 / np.maximum(np.maximum(reach, furthest[near]).mean(1), 1e-9)
    return density[near].mean(1) / density


def _findings(
    deviation: float, everywhere: float, density: float, twin: str | None
) -> tuple[tuple[Kind, str], ...]:
    found: list[tuple[Kind, str]] = []
    if deviation > FAR and (everywhere > FAR or density > LONELY):
        text = f"looks like another product: unlike the others by {deviation:.1f} robust standard "
        found.append(("foreign", text + "deviations, and so nearly everywhere or as a whole"))
    elif deviation > FAR:
        text = f"has a place that no other picture has: {deviation:.1f} robust standard deviations "
        found.append(("bad part", text + "above the others"))
    if twin is not None:
        found.append(("twice", f"is the same picture as {twin}"))
    return tuple(found)


def _twins(names: Sequence[str], images: Sequence[NDArray[np.uint8]]) -> list[str | None]:
    """Name of an earlier picture with the same pixels."""
    seen: dict[tuple[tuple[int, ...], bytes], str] = {}
    twins = []
    for name, image in zip(names, images, strict=True):
        key = (image.shape, image.tobytes())
        twins.append(seen.get(key))
        seen.setdefault(key, name)
    return twins
