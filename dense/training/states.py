"""Pairs of one thing intact and damaged, drawn by the generators of `dense.datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from dense.datasets.captions import CaptionRecord
from dense.datasets.defects import KINDS, make_defect
from dense.datasets.surfaces import MAKERS, PART_NAMES, make_surface
from dense.errors import InputError
from dense.images import read_image
from dense.structures import Size
from dense.training.views import ViewRule

PHOTO_SIZE = (0.85, 1.0)
TEXTURE_SIZE = (0.4, 1.0)


@dataclass(frozen=True)
class StatePair:
    """The same thing twice.

    Attributes:
        normal: (h, w, 3) uint8, intact.
        damaged: (h, w, 3) uint8.
        mask: (h, w) bool, where it is damaged.
        name: Words for the thing.
        kind: Kind of damage, a key of `dense.datasets.defects.PHRASES`.
    """

    normal: NDArray[np.uint8]
    damaged: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    name: str
    kind: str

    def coverage(self, grid: Size) -> Tensor:
        """Share of each patch that the damage covers, (gh * gw,), row-major."""
        mask = torch.from_numpy(self.mask)[None, None].float()
        return F.adaptive_avg_pool2d(mask, grid).flatten()


class DefectPairs(Dataset[StatePair]):
    """Endless kinds of pairs, of which `count` are numbered; pair i is always the same.

    Args:
        count: Number of pairs.
        side: Of the square pictures in pixels.
        photos: Captioned pictures to damage besides procedural surfaces.
        textures: Sources among the photos that show textures: cut anywhere and turned.
        photo_share: Share of pairs that are photos.
        second: Probability of a second defect of the same kind.
        cells: Probability that a surface is a solar cell; six tenths of it for ground metal.
        seed: Of all pairs.

    Raises:
        InputError: If `count` is not positive.
    """

    def __init__(
        self,
        count: int,
        *,
        side: int = 168,
        photos: Sequence[CaptionRecord] = (),
        textures: Sequence[str] = (),
        photo_share: float = 0.4,
        second: float = 0.3,
        cells: float = 0.12,
        seed: int = 0,
    ) -> None:
        if count < 1:
            raise InputError(f"the number of pairs must be 1 or more, got {count}")
        self.count = count
        self.side = side
        self.textures = [r for r in photos if r.source in textures]
        self.objects = [r for r in photos if r.source not in textures]
        self.photo_share = photo_share if photos else 0.0
        self.second = second
        self.cells = cells
        self.seed = seed

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a pair can have, sorted."""
        made = {name for _, names in MAKERS.values() for name in names} | set(PART_NAMES)
        return tuple(sorted(made | {r.texts[0] for r in [*self.textures, *self.objects]}))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> StatePair:
        rng = np.random.default_rng([self.seed, index])
        if rng.random() < self.photo_share:
            normal, name, part = self._photo(rng)
        else:
            kind = None
            if rng.random() < self.cells:
                kind = "cell"
            elif rng.random() < 0.6 * self.cells:
                kind = "ground_metal"
            surface = make_surface(self.side, rng, kind=kind)
            normal, name, part = surface.image, surface.name, surface.part
        other = make_surface(self.side, rng).image
        size = float(np.exp(rng.uniform(np.log(0.04), np.log(0.45))))
        defect = make_defect(normal, rng=rng, part=part, other=other, size=size)
        damaged, mask = defect.image, defect.mask
        if rng.random() < self.second:
            more = make_defect(damaged, defect.kind, rng=rng, part=part, other=other)
            damaged, mask = more.image, mask | more.mask
        return StatePair(normal, damaged, mask, name, defect.kind)

    def _photo(self, rng: Generator) -> tuple[NDArray[np.uint8], str, NDArray[np.bool_]]:
        texture = bool(self.textures) and (not self.objects or rng.random() < 0.45)
        pool = self.textures if texture else self.objects
        record = pool[int(rng.integers(len(pool)))]
        image = read_image(record.path)
        scale = TEXTURE_SIZE if texture else PHOTO_SIZE
        rule = ViewRule(scale, mirror=0.0, seed=int(rng.integers(2**31)))
        picture = rule(image.shape[:2], 0).render(image, self.side)
        if rng.random() < 0.4:
            picture = np.repeat(picture.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
        if rng.random() < 0.5:
            turns = int(rng.integers(4))
            picture = np.rot90(picture, turns) if texture else picture[:, ::-1]
        picture = np.ascontiguousarray(picture)
        whole = np.ones(picture.shape[:2], bool)
        return picture, record.texts[0], whole if texture else foreground(picture)


def draw_windows(
    coverage: Tensor, grid: Size, side: int, count: int, generator: torch.Generator
) -> Tensor:
    """Choose windows, most of them over the damage. → (count, side²) patch indices.

    Args:
        coverage: (N,) share of each patch that the damage covers.
        grid: (gh, gw).
        side: Of a window in patches.
        count: How many.
        generator: Of the draws.
    """
    gh, gw = grid
    hit = (coverage.view(grid) > 0.05).nonzero()
    rows = []
    for number in range(count):
        if number <= count // 2 and len(hit):
            cell = hit[int(torch.randint(len(hit), (), generator=generator))]
            corner = cell - torch.randint(side, (2,), generator=generator)
            y = int(corner[0].clamp(0, gh - side))
            x = int(corner[1].clamp(0, gw - side))
        else:
            y = int(torch.randint(gh - side + 1, (), generator=generator))
            x = int(torch.randint(gw - side + 1, (), generator=generator))
        rows.append(torch.arange(gh * gw).view(grid)[y : y + side, x : x + side].flatten())
    return torch.stack(rows)


def foreground(image: NDArray[np.uint8], *, contrast: int = 35) -> NDArray[np.bool_]:
    """Rough place of an object before an even background; everything if there is none.

    Args:
        image: (h, w, 3) uint8.
        contrast: Levels of any colour by which the object differs from the border's median.
    """
    rim = max(1, min(image.shape[:2]) // 28)
    border = np.concatenate(
        [
            image[:rim].reshape(-1, 3),
            image[-rim:].reshape(-1, 3),
            image[:, :rim].reshape(-1, 3),
            image[:, -rim:].reshape(-1, 3),
        ]
    ).astype(np.float32)
    if border.std(0).mean() < 28:
        distance = np.abs(image.astype(np.float32) - np.median(border, axis=0)).max(-1)
        if (distance > contrast).mean() >= 0.03:
            return distance > contrast
    return np.ones(image.shape[:2], bool)


def kind_index(kind: str) -> int:
    """Number of a kind of damage, for caches."""
    return KINDS.index(kind)
