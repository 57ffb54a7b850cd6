"""Proposals by grouping patches that look alike, at every scale at once."""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.methods.detection.proposals import Proposals, contrast, distinct, grid_mask_boxes
from dense.structures import Sample, Size


@dataclass(frozen=True)
class PatchGrouping:
    """Regions of a tree of merged patches, ranked by how they differ from what surrounds them.

    Neighbouring regions merge by Ward's criterion (1963) until one is left, as selective search
    merges superpixels (Uijlings et al., IJCV 2013); every region on the way is a proposal. Nothing
    is learned.

    Attributes:
        least: Fewest patches of a region.
        most: Greatest share of the picture.
        limit: Most proposals of a picture.
    """

    least: int = 2
    most: float = 0.9
    limit: int = 300

    def __post_init__(self) -> None:
        if self.least < 1 or self.limit < 1 or not 0 < self.most <= 1:
            raise InputError(
                "patch grouping needs least ≥ 1, limit ≥ 1 and most in (0, 1], got "
                f"{self.least}, {self.limit} and {self.most}"
            )

    def __call__(self, sample: Sample, patches: Tensor) -> Proposals:
        """See `dense.methods.detection.proposals.Proposer`."""
        grid = (patches.shape[1], patches.shape[2])
        centred = patches.float().flatten(1) - patches.float().flatten(1).mean(1, keepdim=True)
        unit = F.normalize(centred.T, dim=-1)
        merges = merge_tree(unit.cpu().numpy(), grid)
        regions = tree_regions(merges, grid, self.least, int(self.most * grid[0] * grid[1]))
        masks = torch.from_numpy(regions).to(patches.device)
        objectness = contrast(unit.T.unflatten(1, grid), masks)
        if not len(masks):
            return Proposals(torch.zeros(0, 4), torch.zeros(0))
        boxes = grid_mask_boxes(masks, sample.image_size)
        kept = distinct(boxes, objectness)
        found = Proposals(boxes[kept].cpu(), objectness[kept].cpu(), masks[kept].cpu())
        return found.best(self.limit)

    def describe(self) -> dict[str, object]:
        """Settings, for the protocol card."""
        settings = {f"proposal_{name}": value for name, value in asdict(self).items()}
        return {"proposals": "patch grouping", **settings}


def merge_tree(features: NDArray[np.floating], grid: Size) -> NDArray[np.int64]:
    """Ward's tree over the 4-neighbour graph of a grid.

    Args:
        features: (N, C), row-major.
        grid: (gh, gw), N = gh · gw.

    Returns:
        (N − 1, 2) nodes that merge; the k-th merge makes node N + k.
    """
    count = len(features)
    means = np.zeros((2 * count - 1, features.shape[1]), np.float64)
    means[:count] = features
    sizes = np.ones(2 * count - 1)
    near = _neighbours(grid) + [set() for _ in range(count - 1)]
    alive = np.ones(2 * count - 1, bool)
    pairs = [(a, b) for a in range(count) for b in near[a] if a < b]
    if pairs:
        first, second = np.array(pairs).T
        costs = ((means[first] - means[second]) ** 2).sum(1) / 2
        heap = [(cost, a, b) for cost, (a, b) in zip(costs.tolist(), pairs, strict=True)]
        heapq.heapify(heap)
    merges = np.zeros((count - 1, 2), np.int64)
    made = 0
    while made < count - 1:
        _, a, b = heapq.heappop(heap)
        if not (alive[a] and alive[b]):
            continue
        new = count + made
        merges[made], alive[[a, b]] = (a, b), False
        sizes[new] = sizes[a] + sizes[b]
        means[new] = (sizes[a] * means[a] + sizes[b] * means[b]) / sizes[new]
        near[new] = (near[a] | near[b]) - {a, b}
        around = [node for node in near[new] if alive[node]]
        near[new] = set(around)
        if around:
            gaps = ((means[around] - means[new]) ** 2).sum(1)
            costs = gaps * sizes[new] * sizes[around] / (sizes[new] + sizes[around])
            for cost, node in zip(costs.tolist(), around, strict=True):
                near[node].add(new)
                heapq.heappush(heap, (cost, node, new))
        near[a] = near[b] = set()
        made += 1
    return merges


def tree_regions(merges: NDArray[np.int64], grid: Size, least: int, most: int) -> NDArray[np.bool_]:
    """Masks (R, gh, gw) of all nodes of a tree that have `least` to `most` patches."""
    count = grid[0] * grid[1]
    members: dict[int, NDArray[np.int64]] = {n: np.array([n]) for n in range(count)}
    kept = list(members.values()) if least <= 1 <= most else []
    for place, (a, b) in enumerate(merges.tolist()):
        joined = np.concatenate([members.pop(a), members.pop(b)])
        members[count + place] = joined
        if least <= len(joined) <= most:
            kept.append(joined)
    masks = np.zeros((len(kept), count), bool)
    for row, inside in enumerate(kept):
        masks[row, inside] = True
    return masks.reshape(-1, *grid)


def _neighbours(grid: Size) -> list[set[int]]:
    gh, gw = grid
    found: list[set[int]] = []
    for place in range(gh * gw):
        y, x = divmod(place, gw)
        sides = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        found.append({r * gw + c for r, c in sides if 0 <= r < gh and 0 <= c < gw})
    return found
