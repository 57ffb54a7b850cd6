"""A small subset of a memory that covers the rest (PatchCore, Roth et al. 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from dense.errors import InputError

Steps = Callable[[Iterable[int], int, str], Iterable[int]]
PROJECTED = 128
"""Width that distances are computed in, as in the paper's code."""


def greedy_coreset(
    rows: Tensor,
    count: int,
    *,
    given: Tensor | None = None,
    projected: int | None = PROJECTED,
    seed: int = 0,
    start: int | None = None,
    track: Steps | None = None,
) -> Tensor:
    """Farthest-point selection (k-centre greedy) in a random projection (algorithm 1).

    Every step takes the row farthest from all taken so far. Unlike common implementations no row
    is taken twice, and a memory can be extended: with `given` rows the new ones only fill what
    these leave open.

    Args:
        rows: (M, C).
        count: How many to take, 1 to M.
        given: (G, C) rows that are already in the memory.
        projected: Width of the Gaussian projection; ``None``, or a width of C or more, uses the
            rows themselves.
        seed: Of the projection and of the first row.
        start: The first row; drawn by the seed if ``None``. Not with `given`.
        track: Wraps the steps in a progress bar.

    Returns:
        (count,) int64 row numbers in the order they were taken.

    Raises:
        InputError: If `count` does not fit.
    """
    if not 1 <= count <= len(rows):
        raise InputError(f"a coreset of {len(rows)} rows has 1 to {len(rows)} rows, got {count}")
    generator = torch.Generator().manual_seed(seed)
    points = rows.float()
    kept = None if given is None else given.float()
    if projected is not None and projected < rows.shape[1]:
        matrix = torch.randn(rows.shape[1], projected, generator=generator) * projected**-0.5
        matrix = matrix.to(rows.device)
        points, kept = points @ matrix, None if kept is None else kept @ matrix
    if kept is not None and len(kept):
        distance = _nearest_square(points, kept)
        first = int(distance.argmax())
    else:
        distance = points.new_full((len(points),), torch.inf)
        first = int(torch.randint(len(points), (1,), generator=generator))
        first = first if start is None else start
    return _farthest(points, distance, first, count, track)


def _farthest(
    points: Tensor, distance: Tensor, first: int, count: int, track: Steps | None
) -> Tensor:
    """Greedy steps; `distance` (M,) is each point's squared distance to what is taken."""
    squares = (points * points).sum(1)
    taken = torch.empty(count, dtype=torch.int64)
    chosen = torch.tensor(first)
    steps: Iterable[int] = range(count)
    for step in track(steps, count, "coreset") if track else steps:
        taken[step] = chosen
        centre = points[chosen]
        to_centre = squares - 2 * (points @ centre) + (centre @ centre)
        distance = torch.minimum(distance, to_centre.clamp_min_(0))
        distance[chosen] = -torch.inf
        chosen = distance.argmax()
    return taken


def _nearest_square(points: Tensor, kept: Tensor, block: int = 4096) -> Tensor:
    parts = [torch.cdist(points, part).amin(1) for part in kept.split(block)]
    return torch.stack(parts).amin(0).square()
