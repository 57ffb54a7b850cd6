"""Synthetic defects: a seeded generator that damages any picture and returns the mask.

Twelve kinds of damage, at sizes from a few pixels to a third of the picture, are painted, warped or
cut into a clean picture of a surface or a part. Nothing is learned and no outside picture is
needed, so users can make training or test material for their own products:

    rng = np.random.default_rng(0)
    defect = make_defect(image, "scratch", size=0.2, rng=rng)

The idea follows CutPaste (Li et al. 2021, section 2.2) and DRAEM (Zavrtanik et al. 2021, section
3.3: texture pasted through a noise mask); what differs is that each defect has a *kind* with words
for it (`PHRASES`), so that text and damage can be aligned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from dense.datasets.defect_painters import PAINTERS, Scene
from dense.errors import InputError, unknown_name

PHRASES: dict[str, tuple[str, ...]] = {
    "scratch": ("scratched {}", "{} with a scratch", "{} with scratches", "scuffed {}"),
    "crack": ("cracked {}", "{} with a crack", "{} with cracks", "fractured {}"),
    "stain": ("stained {}", "{} with a stain", "dirty {}", "{} with a spot", "discolored {}"),
    "contamination": ("contaminated {}", "{} with contamination", "{} with a foreign object"),
    "dent": ("dented {}", "{} with a dent", "deformed {}", "{} with a bump"),
    "hole": ("{} with a hole", "punctured {}", "{} with a blowhole", "{} with pores"),
    "missing": ("{} with a missing part", "incomplete {}", "{} with a piece missing"),
    "chip": ("chipped {}", "{} with a broken edge", "{} with a chipped edge", "broken {}"),
    "misplaced": ("{} with a misplaced part", "misaligned {}", "{} with a shifted part"),
    "fray": ("frayed {}", "torn {}", "worn {}", "{} with a tear", "{} with a loose thread"),
    "uneven": ("uneven {}", "{} with a dark area", "{} with uneven brightness"),
    "bend": ("bent {}", "warped {}", "twisted {}"),
}


@dataclass(frozen=True)
class Defect:
    """A damaged picture.

    Attributes:
        image: (H, W, 3) uint8, the damaged picture.
        mask: (H, W) bool, where the picture was visibly changed.
        kind: A key of `PHRASES`.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    kind: str


KINDS: tuple[str, ...] = tuple(PAINTERS)


def make_defect(
    image: NDArray[np.uint8],
    kind: str | None = None,
    *,
    rng: Generator,
    size: float | None = None,
    part: NDArray[np.bool_] | None = None,
    other: NDArray[np.uint8] | None = None,
) -> Defect:
    """Damage a picture.

    Args:
        image: (H, W, 3) uint8, clean.
        kind: A key of `PHRASES`; None draws one.
        rng: Source of all randomness: the same state gives the same defect.
        size: Diameter or length of the damage as a share of the longer side, in (0, 1]; None draws
            from 0.03 to 0.4, small ones more often.
        part: (H, W) bool, where the product is: the damage is centred on it. None: everywhere.
        other: (H, W, 3) uint8, material for contamination; None uses ``image`` turned over.

    Returns:
        The damaged picture, the mask of what changed visibly (more than 6 of 255 grey levels
        within the painted area), and the kind.

    Raises:
        InputError: If the picture, the size or the kind cannot be used.
    """
    if (
        image.ndim != 3
        or image.shape[2] != 3
        or image.dtype != np.uint8
        or min(image.shape[:2]) < 16
    ):
        got = f"{image.dtype} {image.shape}"
        raise InputError(f"the picture is {got}, expected uint8 (H, W, 3) of 16 pixels or more")
    if size is not None and not 0 < size <= 1:
        raise InputError(
            f"the defect size is {size}, expected a share of the longer side in (0, 1]"
        )
    if kind is not None and kind not in PAINTERS:
        raise unknown_name("defect kind", kind, KINDS)
    where = np.ones(image.shape[:2], bool) if part is None else part
    if where.shape != image.shape[:2] or not where.any():
        raise InputError(
            f"the part mask has size {where.shape} and {where.sum()} pixels, expected a filled "
            f"one over {image.shape[:2]}"
        )
    kind = kind or KINDS[int(rng.integers(len(KINDS)))]
    clean = image.astype(np.float32)
    material = clean[::-1, ::-1] if other is None else other.astype(np.float32)
    for _ in range(4):  # a defect may be invisible by chance: draw again
        drawn = float(np.exp(rng.uniform(np.log(0.03), np.log(0.4)))) if size is None else size
        inner = np.argwhere(where)
        centre = inner[int(rng.integers(len(inner)))] + 0.5
        scene = Scene(clean, where, material, drawn, (float(centre[0]), float(centre[1])), rng)
        painted, cover = PAINTERS[kind](scene)
        result = np.clip(painted, 0, 255).astype(np.uint8)
        change = np.abs(result.astype(np.int16) - image.astype(np.int16)).max(2)
        mask = (cover > 0.25) & (ndimage.maximum_filter(change, 3) > 6)
        if mask.sum() >= 3:
            break
    return Defect(result, mask, kind)
