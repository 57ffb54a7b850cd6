"""Where products are made, calibrated, audited and judged: a registry and its shared backbones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.inspection.audit import Audited, audit_support
from dense.inspection.calibration import (
    NEVER_RAISED_BY_MORE,
    Scores,
    by_hand,
    change_alpha,
    folds_of,
    make_calibration,
    out_of_fold,
    with_defects,
)
from dense.inspection.conformal import bound
from dense.inspection.fitting import Fitting, pixel_digest
from dense.inspection.judge import AT_ONCE, Judge
from dense.inspection.product import Product
from dense.inspection.store.registry import Record, Registry
from dense.inspection.team import Maker, Reading, Team, fit_members
from dense.inspection.thresholds import Calibration
from dense.inspection.traits import Traits
from dense.inspection.view import View
from dense.prompts import NO_WORDS, StateWords

Array = NDArray[np.uint8]
Named = tuple[str, Array]
"""Name of a picture's file and its pixels (H, W, 3)."""


@dataclass(frozen=True)
class Order:
    """What a user says of a new product.

    Attributes:
        name: See `Product`.
        words: What it is; the name, its underscores as spaces, if empty.
        method: A few-shot name of `dense.methods.catalog`.
        state_words: Words to look for and to ignore.
        view: Where to look.
        mm_per_pixel: Scale.
        model: Name of the checkpoint.
        pretrained: Tag or file, if the name is an architecture's.
    """

    name: str
    words: str = ""
    method: str = "words-memory"
    state_words: StateWords = NO_WORDS
    view: View = field(default_factory=View)
    mm_per_pixel: float | None = None
    model: str = "embedded"
    pretrained: str | None = None


class Workshop:
    """Makes products of a registry and judges by them; backbones are loaded once and shared.

    Args:
        registry: Where products are kept.
        device: ``"auto"`` takes the GPU if there is one.
        backbones: Backbones that are loaded already, by model name.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        device: str = "auto",
        backbones: Mapping[str, CLIPBackbone] | None = None,
    ) -> None:
        self.registry = registry
        self.fitting = Fitting(registry.blobs, device=device, backbones=backbones)

    def create(self, order: Order, support: Sequence[Named]) -> Record:
        """Make a product from good pictures; it has no threshold yet.

        Raises:
            InputError: If the name is taken or no name, there is no picture, or the method
                cannot use them.
        """
        self.registry.check_free(order.name)
        if not support:
            raise InputError("no support pictures: expected at least one good picture")
        sizes = {image.shape[:2] for _, image in support}
        if (order.view.size or order.mm_per_pixel) and len(sizes) > 1:
            raise InputError(
                f"regions and a scale need pictures of one size, got {sorted(sizes)}: crop them, "
                "or leave regions and scale out"
            )
        if order.view.size not in (None, *sizes):
            raise InputError(
                f"the regions are for pictures of {order.view.size}, the support has {sizes}"
            )
        backbone = self.fitting.backbone(order.model, order.pretrained)
        words = order.words or order.name.replace("_", " ")
        maker = Maker(backbone, words, order.method, order.state_words)
        images = [image for _, image in support]
        team = Team(fit_members(maker, images, [range(len(images))], order.view), order.view)
        traits = Traits.of(images, self.fitting.features(team, images), backbone)
        product = Product(
            name=order.name,
            words=words,
            method=order.method,
            model=order.model,
            pretrained=order.pretrained,
            weights=backbone.fingerprint,
            support=tuple(self.fitting.keep(name, image) for name, image in support),
            traits=self.registry.blobs.put(traits.to_bytes()),
            members=(self.fitting.member(team.members[0], range(len(images))),),
            view=order.view,
            gates=traits.gates(images),
            state_words=order.state_words,
            mm_per_pixel=order.mm_per_pixel,
        )
        return self.registry.create(product, f"created from {len(images)} pictures")

    def judge(self, name: str, version: int | None = None) -> Judge:
        """The judge of a product's version, by default the one in use.

        Raises:
            InputError: If there is no such product, or it was made with other weights.
        """
        record = self.registry.get(name, version)
        product, backbone = record.product, self.fitting.same_backbone(record.product)
        traits = Traits.from_bytes(self.registry.blobs.get(product.traits), backbone)
        return Judge(product, record.version, self.fitting.team(product), traits)

    def audit(self, name: str) -> list[Audited]:
        """Look at each support picture of a product against the others.

        Raises:
            InputError: If there are fewer than three.
        """
        product = self.registry.get(name).product
        backbone = self.fitting.same_backbone(product)
        traits = Traits.from_bytes(self.registry.blobs.get(product.traits), backbone)
        names = [picture.name for picture in product.support]
        images = [self.fitting.picture(picture) for picture in product.support]
        return audit_support(backbone, names, images, traits.features, product.view)

    def calibrate(
        self,
        name: str,
        *,
        alpha: float | None = None,
        good: Iterable[Named] | None = None,
        defects: Iterable[Named] | None = None,
        folds: int | None = None,
        threshold: float | None = None,
    ) -> Record:
        """Give a product its thresholds, as a new version.

        With `good` they come from parts that the model has not seen (split), without from the
        support by leave-one-out or `folds`, from the scores of the last calibration if only
        `alpha` changes, or from `threshold` by hand. A product made with other weights is first
        fitted anew on its support.

        Args:
            name: Of the product.
            alpha: Share of good parts that may be lost.
            good: Good parts beside the support.
            defects: Defective examples, to estimate how many pass; they move no threshold.
            folds: Number of folds of the support.
            threshold: Set by hand.

        Raises:
            InputError: If there are too few parts for the bound, a part is in the support, or
                the options contradict each other.
        """
        if (threshold is None) == (alpha is None):
            raise InputError("give either alpha, or a threshold by hand")
        if folds is not None and good is not None:
            raise InputError("folds are of the support: leave out good parts beside it, or folds")
        seen = self.registry.get(name)
        product = self.fitting.refitted(seen.product)
        known = product.calibration
        if threshold is not None:
            made = product, by_hand(threshold, product.view, known)
        elif good is not None:
            made = self._split(product, alpha or 0.0, good)
        elif known is not None and folds is None and known.method != "manual":
            made = product, change_alpha(known, alpha or 0.0)
        else:
            made = self._folded(product, alpha or 0.0, folds)
        product, calibration = made
        if defects is not None:
            team = self.fitting.team(product)
            calibration = with_defects(calibration, self._readings(team, defects))
        product = replace(product, calibration=calibration)
        return self.registry.save(seen, product, _note(calibration))

    def _split(
        self, product: Product, alpha: float, good: Iterable[Named]
    ) -> tuple[Product, Calibration]:
        """Thresholds from good parts that the one model of all support pictures has not seen."""
        product = self.fitting.whole(product)
        team, backbone = self.fitting.team(product), self.fitting.same_backbone(product)
        traits = Traits.from_bytes(self.registry.blobs.get(product.traits), backbone)
        judge = Judge(product, 0, team, traits)
        support = {picture.pixels: picture.name for picture in product.support}
        found, refused = Scores(), 0
        for parts in _some(_different(good, support)):
            outcomes = judge.readings([image for _, image in parts])
            for reading in outcomes:
                if reading is None:
                    refused += 1
                else:
                    found.add(reading)
        if not found.scores:
            raise InputError(
                f"none of the {refused} good parts can be judged: the quality gates refuse them; "
                "make the product from pictures like these"
            )
        return product, make_calibration("split", alpha, found, refused=refused)

    def _folded(
        self, product: Product, alpha: float, folds: int | None
    ) -> tuple[Product, Calibration]:
        """Thresholds from the support itself, each fold scored by a model of the others."""
        parts = folds_of(len(product.support), folds)
        scored, regions = sum(len(fold) for fold in parts), len(product.view.names)
        bound(scored, alpha, fold=len(parts[0]), regions=regions)  # refuses before the work
        maker = self.fitting.maker(product, self.fitting.same_backbone(product))
        images = [self.fitting.picture(picture) for picture in product.support]
        members, found = out_of_fold(maker, images, parts, product.view)
        method = "leave-one-out" if len(parts[0]) == 1 else "cross"
        calibration = make_calibration(method, alpha, found, fold=len(parts[0]))
        if method == "leave-one-out" and product.method in NEVER_RAISED_BY_MORE:
            return self.fitting.whole(product), calibration
        groups = [[p for p in range(len(images)) if p not in fold] for fold in parts]
        team = tuple(
            self.fitting.member(member, group)
            for member, group in zip(members, groups, strict=True)
        )
        return replace(product, members=team), calibration

    def _readings(self, team: Team, pictures: Iterable[Named]) -> Iterator[Reading]:
        for parts in _some(pictures):
            yield from team.read([image for _, image in parts])


def _different(pictures: Iterable[Named], support: Mapping[str, str]) -> Iterator[Named]:
    """Pictures that are neither in the support nor came before: else they count for nothing new."""
    seen: set[str] = set()
    for name, image in pictures:
        digest = pixel_digest(image)
        if digest in support:
            raise InputError(
                f"{name} is the support picture {support[digest]}: calibrate on good parts that "
                "the product was not made from, or leave --good out for leave-one-out"
            )
        if digest not in seen:
            seen.add(digest)
            yield name, image


def _some(pictures: Iterable[Named]) -> Iterator[list[Named]]:
    """Pictures in groups, so that few are in memory."""
    group: list[Named] = []
    for entry in pictures:
        group.append(entry)
        if len(group) == AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _note(calibration: Calibration) -> str:
    if calibration.alpha is None:
        return "threshold set by hand"
    return (
        f"calibrated: at most {calibration.alpha:g} of good parts, {calibration.method}, "
        f"{calibration.parts} parts"
    )
