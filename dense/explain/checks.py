"""Sanity checks of explanations as numbers: deletion, insertion, random orders, random weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError, unknown_name
from dense.explain.base import Explainer
from dense.explain.explain import explain_pair, find_explainer
from dense.explain.pair import Pair, make_pair
from dense.metrics.explanation import curve_area, rank_correlation

Fill = Literal["mean", "blur", "black"]
FILLS = ("mean", "blur", "black")
AT_ONCE = 16
"""Pictures of a curve that run at once: bounds the memory."""


@dataclass(frozen=True)
class Curves:
    """What taking patches away, and putting them back, does to the score.

    Attributes:
        shares: (S,) of patches taken away, or put in, from 0 to 1.
        deletion: (S,) scores as the most important patches go first.
        insertion: (S,) scores as they come first into the filled picture.
        fill: What stands for a missing patch.
    """

    shares: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    fill: Fill

    @property
    def deletion_area(self) -> float:
        """Mean height; lower is better."""
        return curve_area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """Mean height; higher is better."""
        return curve_area(self.insertion)


@dataclass(frozen=True)
class Faithfulness:
    """An explanation's curves beside those of random orders of the same patches and fill.

    Attributes:
        curves: Of the explanation.
        random: Areas of the random orders, see `random_areas`.
    """

    curves: Curves
    random: tuple[float, ...]

    def summary(self) -> dict[str, object]:
        """Plain numbers; ``gains`` are positive where the explanation beats chance."""
        chance = float(np.mean(self.random))
        deletion, insertion = self.curves.deletion_area, self.curves.insertion_area
        return {
            "fill": self.curves.fill,
            "steps": len(self.curves.shares) - 1,
            "deletion": deletion,
            "insertion": insertion,
            "random": chance,
            "random_orders": len(self.random),
            "deletion_gain": chance - deletion,
            "insertion_gain": insertion - chance,
        }


def perturbation_curves(
    pair: Pair, patches: NDArray[np.floating], *, fill: Fill = "mean", steps: int = 16
) -> Curves:
    """Deletion and insertion curves of a patch map on the input that it explains.

    RISE deletes pixels; here whole patches go, so that no map gains by finer grain than the tower
    has. The score is `Pair.score`, not a probability.

    Args:
        pair: The picture and the sentence.
        patches: (gh, gw), larger is more important; ties in row-major order.
        fill: ``"mean"`` puts the picture's mean colour, ``"blur"`` the picture blurred by an
            eighth of its short side, ``"black"`` black, in place of a patch.
        steps: Points of the curves less one.

    Raises:
        InputError: If the map does not fit the grid, or a setting is impossible.
    """
    if patches.shape != pair.layout.grid:
        raise InputError(f"the map must fit the grid {pair.layout.grid}, got {patches.shape}")
    _check_steps(steps)
    whole, empty = _input(pair), filled(pair, fill)
    shares, chosen = _steps(pair, patches, steps)
    deletion = _scores(pair, [torch.where(mask, empty, whole) for mask in chosen])
    insertion = _scores(pair, [torch.where(mask, whole, empty) for mask in chosen])
    return Curves(shares, deletion, insertion, fill)


def random_areas(
    pair: Pair, *, fill: Fill = "mean", steps: int = 16, orders: int = 5, seed: int = 0
) -> tuple[float, ...]:
    """Areas under the deletion curves of random orders of the patches.

    Deleting in one order is inserting in the reverse, which is as random, so these are the chance
    level of deletion and of insertion.

    Raises:
        InputError: If a setting is impossible.
    """
    if orders < 1:
        raise InputError(f"at least one random order is needed, got {orders}")
    _check_steps(steps)
    whole, empty = _input(pair), filled(pair, fill)
    rng = np.random.default_rng(seed)
    areas = []
    for _ in range(orders):
        _, chosen = _steps(pair, rng.random(pair.layout.grid), steps)
        areas.append(curve_area(_scores(pair, [torch.where(m, empty, whole) for m in chosen])))
    return tuple(areas)


def faithfulness(
    pair: Pair,
    patches: NDArray[np.floating],
    *,
    fill: Fill = "mean",
    steps: int = 16,
    random_orders: int = 5,
    seed: int = 0,
) -> Faithfulness:
    """Curves of a map, and the areas of random orders beside them.

    Raises:
        InputError: As `perturbation_curves` and `random_areas`.
    """
    curves = perturbation_curves(pair, patches, fill=fill, steps=steps)
    chance = random_areas(pair, fill=fill, steps=steps, orders=random_orders, seed=seed)
    return Faithfulness(curves, chance)


def randomised_weights(
    backbone: CLIPBackbone,
    image: NDArray[np.uint8],
    words: str,
    *,
    method: str | Explainer,
    against: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    short_side: int | None = None,
) -> list[float]:
    """Spearman's correlation of the map with that of towers with random weights, one a seed.

    Near 0 is right: a map that stays the same does not show what the model learned. All matrices
    of both towers' blocks are drawn anew, normal with the mean and spread of the trained ones.

    Raises:
        InputError: As `dense.explain.explain.explain`.
    """
    explainer = find_explainer(method)
    size = (image.shape[0], image.shape[1])

    def patches(used: CLIPBackbone) -> NDArray[np.float32]:
        pair = make_pair(used, image, words, against=against, short_side=short_side)
        return explain_pair(pair, explainer, size).patches

    trained = patches(backbone)
    return [rank_correlation(trained, patches(random_twin(backbone, seed))) for seed in seeds]


def random_twin(backbone: CLIPBackbone, seed: int) -> CLIPBackbone:
    """A copy whose blocks' matrices are random with the mean and spread of the trained ones."""
    model = copy.deepcopy(backbone.model)
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            inside = any(part in name for part in ("resblocks.", "blocks."))
            if inside and value.ndim > 1:
                noise = torch.randn(value.shape, generator=drawn).to(value)
                value.copy_(value.mean() + value.std() * noise)
    return CLIPBackbone(
        model,
        backbone.tokenizer,
        backbone.preprocess,
        name=f"{backbone.name}, random",
        recommended=backbone.recommended,
    )


def filled(pair: Pair, fill: Fill) -> Tensor:
    """(1, 3, h, w) the input with nothing of the picture left but its fill.

    Raises:
        InputError: If the fill is unknown.
    """
    image = _input(pair)
    if fill == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image)
    if fill == "black":
        preprocess = pair.backbone.preprocess
        dark = [-m / s for m, s in zip(preprocess.mean, preprocess.std, strict=True)]
        return image.new_tensor(dark).view(1, 3, 1, 1).expand_as(image)
    if fill == "blur":
        pixels = image[0].permute(1, 2, 0).cpu().numpy()
        soft = cv2.GaussianBlur(pixels, (0, 0), min(pixels.shape[:2]) / 8)
        return torch.from_numpy(soft).permute(2, 0, 1)[None].to(image)
    raise unknown_name("fill", fill, FILLS)


def _input(pair: Pair) -> Tensor:
    if pair.trace.images is None:
        raise InputError("the pair has no picture left: make it with make_pair")
    return pair.trace.images


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise InputError(f"a curve needs 1 or more steps, got {steps}")


def _steps(
    pair: Pair, patches: NDArray[np.floating], steps: int
) -> tuple[NDArray[np.float64], list[Tensor]]:
    """Shares (S,) of patches, and masks (h, w) bool of that many of the most important ones."""
    order = np.argsort(-patches.ravel().astype(np.float64), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    counts = np.round(np.linspace(0, len(order), steps + 1)).astype(np.int64)
    ranks = torch.from_numpy(rank.reshape(patches.shape)).to(_input(pair).device)
    high, wide = pair.backbone.patch_size
    pixels = ranks.repeat_interleave(high, 0).repeat_interleave(wide, 1)
    return counts / len(order), [pixels < int(count) for count in counts]


@torch.no_grad()
def _scores(pair: Pair, pictures: Sequence[Tensor]) -> NDArray[np.float64]:
    found = []
    for start in range(0, len(pictures), AT_ONCE):
        features = pair.backbone.vit.encode_image(
            torch.cat(list(pictures[start : start + AT_ONCE]))
        )
        found.append(F.normalize(features, dim=-1) @ pair.direction)
    return torch.cat(found).double().cpu().numpy()
