"""What a looker is: how regions of a picture become features, and how words score them.

A looker turns a picture and regions into unit features, one or more views a region; everything
else is common (`dense.methods.looking.answers`). A row of
the catalogue with the task "look" names a function of the signature

    build(backbone, *, weights=None, **settings) -> Looker

where `settings` are the looker's own fields (misspelt ones are refused by name); `builder` makes
it from a looker's class.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError, unknown_name
from dense.heads.pixel import class_probabilities
from dense.methods.method import refuse_weights
from dense.regions import check_boxes, mask_boxes
from dense.structures import Size, TextClassifier

Picture = NDArray[np.uint8]
Setting = float | int | bool | str | tuple[float, ...] | tuple[str, ...] | None


@dataclass(frozen=True)
class AskedRegions:
    """The regions of a picture that are asked about; see `asked_regions`.

    Attributes:
        boxes: (R, 4) float32 xyxy within the picture.
        masks: (R, H, W) bool, none empty, if the shapes are known.
        whole: The whole picture is asked about, as its one region.
    """

    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None
    whole: bool = False

    def __len__(self) -> int:
        return len(self.boxes)


def asked_regions(
    size: Size,
    boxes: NDArray[np.floating] | None = None,
    masks: NDArray[np.bool_] | None = None,
    *,
    owner: str = "the picture",
) -> AskedRegions:
    """Check regions that somebody brought.

    Args:
        size: (H, W) of the picture.
        boxes: (R, 4) xyxy in pixels; those of the masks if ``None``.
        masks: (R, H, W) bool. With neither boxes nor masks, the whole picture is the region.
        owner: Whose regions they are, for messages.

    Raises:
        InputError: If a box is unusable (see `check_boxes`), a mask is empty, or masks have
            another size than the picture or another number than the boxes.
    """
    if masks is None:
        if boxes is None:
            whole = np.array([[0, 0, size[1], size[0]]], np.float32)
            return AskedRegions(whole, whole=True)
        return AskedRegions(check_boxes(boxes, size, owner))
    shapes = np.asarray(masks)
    if shapes.ndim != 3 or shapes.shape[1:] != tuple(size):
        raise InputError(
            f"{owner}: masks must be (regions, {size[0]}, {size[1]}) like the picture, got "
            f"{shapes.shape}"
        )
    shapes = shapes.astype(bool)
    empty = np.flatnonzero(~shapes.any((1, 2)))
    if len(empty):
        raise InputError(
            f"mask {empty[0] + 1} of {owner} is empty: mark at least one pixel, or leave it out"
        )
    found = mask_boxes(shapes) if boxes is None else check_boxes(boxes, size, owner)
    if len(found) != len(shapes):
        raise InputError(
            f"{owner}: every box needs one mask, got {len(found)} boxes and {len(shapes)} masks"
        )
    return AskedRegions(found, shapes)


@dataclass(frozen=True)
class Views:
    """What was seen of some regions.

    Attributes:
        features: (R, V, D) unit rows, V views of each region.
        weights: (V,) how much each view counts, summing to one; all alike if ``None``.
    """

    features: Tensor
    weights: Tensor | None = None

    def agreement(self, texts: Tensor) -> Tensor:
        """Weighted mean cosine (R, P) of the views with text features (P, D)."""
        cosines = self.features @ texts.to(self.features).T
        if self.weights is None:
            return cosines.mean(1)
        return torch.einsum("v,rvp->rp", self.weights.to(cosines), cosines)


@dataclass(frozen=True)
class Looker(ABC):
    """A way of looking at regions; subclasses are frozen dataclasses of their settings."""

    name: ClassVar[str]
    needs_regions: ClassVar[bool] = False

    @abstractmethod
    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """Look at regions.

        Args:
            backbone: The CLIP.
            image: (H, W, 3).
            regions: At least one.
        """

    def choose(
        self, backbone: CLIPBackbone, image: Picture, words: TextClassifier
    ) -> tuple[AskedRegions, list[int] | None]:
        """What to look at when the whole picture is asked about.

        Returns:
            One region, and the classes that are still in question (``None``: all).

        Raises:
            InputError: If the looker makes no sense without regions.
        """
        if self.needs_regions:
            raise InputError(
                f"{self.describe()['method']} shows which region is meant, and none is given: "
                "pass boxes or masks, or choose plain, crop, gc-clip or abs for the whole picture"
            )
        return asked_regions((image.shape[0], image.shape[1])), None

    def probabilities(self, views: Views, words: TextClassifier) -> Tensor:
        """Class probabilities (R, K) of what was seen."""
        logits = views.agreement(words.weights) * words.logit_scale
        return class_probabilities(logits.T, words).T

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""
        return {"method": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


def only_classes(words: TextClassifier, classes: list[int]) -> TextClassifier:
    """The same vocabulary with some of its classes alone, in the order given."""
    if words.class_index is None:
        rows, index = torch.tensor(classes), None
    else:
        owner = words.class_index.tolist()
        pairs = [(row, new) for new, k in enumerate(classes) for row in _rows_of(owner, k)]
        rows, index = torch.tensor([row for row, _ in pairs]), torch.tensor([n for _, n in pairs])
    return TextClassifier(
        words.weights[rows.to(words.weights.device)],
        tuple(words.class_names[k] for k in classes),
        index if index is None else index.to(words.weights.device),
        words.logit_scale,
        templates=words.templates,
    )


def _rows_of(owner: list[int], k: int) -> list[int]:
    return [row for row, other in enumerate(owner) if other == k]


def unit(features: Tensor) -> Tensor:
    """Rows of unit length, fp32."""
    return F.normalize(features.float(), dim=-1)


def require_number(
    name: str, value: object, low: float, high: float = float("inf"), *, whole: bool = False
) -> None:
    """Refuse a setting that is no number, or outside [low, high].

    Raises:
        InputError: With the setting's name, what was expected and what came.
    """
    kind = int if whole else int | float
    good = isinstance(value, kind) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # type: ignore[operator]
        what = "a whole number" if whole else "a number"
        span = f"of {low:g} or more" if high == float("inf") else f"in [{low:g}, {high:g}]"
        raise InputError(f"{name} must be {what} {span}, got {value!r}")


def require_class_token(looker: str, backbone: CLIPBackbone) -> None:
    """Refuse a tower without a class token to steer.

    Raises:
        InputError: If the tower pools its patches.
    """
    if not backbone.vit.pools_class_token:
        raise InputError(
            f"{looker} works on the class token, and {backbone.name} pools its patches instead: "
            "choose a CLIP with a class token, or another looker"
        )


LookerBuilder = Callable[..., Looker]


def builder(make: Callable[..., Looker]) -> LookerBuilder:
    """The catalogue's build function of a looker without learned parts.

    Args:
        make: The looker's class, or a function of its settings.
    """

    def build(
        backbone: CLIPBackbone, *, weights: str | Path | None = None, **settings: Setting
    ) -> Looker:
        """Make the looker, see the module's text."""
        refuse_weights(getattr(make, "name", "this looker"), weights)
        check_settings(make, settings)
        return make(**settings)

    return build


def check_settings(make: Callable[..., object], settings: dict[str, Setting]) -> None:
    """Refuse a setting that a looker does not have, with the nearest that it has.

    Raises:
        InputError: If there is one.
    """
    known = inspect.signature(make).parameters
    for key in settings:
        if key not in known:
            if not known:
                raise InputError(f"this looker has no settings, got {key!r}")
            raise unknown_name("setting of the looker", key, known)


def fixed(make: Callable[..., Looker], name: str, /, **values: Setting) -> Callable[..., Looker]:
    """A looker's class under another name, some of its settings filled in."""
    made = partial(make, **values)
    made.name = name  # type: ignore[attr-defined]
    return made
