"""Where products are made, calibrated, audited and judged: a registry and its shared backbones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

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
from dense.inspection.fitting import Fitting, pixel_digest, set_digest
from dense.inspection.judge import AT_ONCE, Judge
from dense.inspection.order import Named, Order, Revision
from dense.inspection.product import Product
from dense.inspection.store.registry import Record, Registry
from dense.inspection.team import Reading, Team
from dense.inspection.thresholds import Calibration
from dense.inspection.traits import Traits

__all__ = ["Named", "Order", "Revision", "Workshop"]


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

    def create(self, order: Order, support: Sequence[Named], *, version: int = 1) -> Record:
        """Make a product from good pictures; it has no threshold yet.

        Args:
            order: What it is.
            support: The pictures.
            version: Number of its first version.

        Raises:
            InputError: If the name is taken or no name, there is no picture, or the method
                cannot use them.
        """
        self.registry.check_free(order.name)
        product = self.fitting.make(order, support)
        note = f"created from {len(support)} pictures"
        return self.registry.create(product, note, version=version)

    def revise(
        self,
        name: str,
        revision: Revision,
        *,
        good: Iterable[Named] | None = None,
        defects: Iterable[Named] | None = None,
        must_keep_threshold: bool = False,
    ) -> Record:
        """Make a product anew after a change of what was said of it or of its good pictures.

        The threshold is set anew for the same alpha, on `good` or, without, by leave-one-out on
        the support. A threshold that was set by hand stays. If neither is possible the new version
        has none.

        Args:
            name: Of the product.
            revision: What changes.
            good: Good parts beside the support, see `calibrate`.
            defects: Defective examples.
            must_keep_threshold: Refuse rather than end without a threshold.

        Raises:
            InputError: If the pictures cannot be used, or the threshold cannot be set anew.
        """
        seen = self.registry.get(name)
        known = seen.product.calibration
        support = [(p.name, self.fitting.picture(p)) for p in revision.remaining(seen.product)]
        order = revision.order or Order.of(seen.product)
        product = self.fitting.make(order, [*support, *revision.add])
        if known is not None:
            try:
                product = self._renewed(product, known, good)
            except InputError:
                if must_keep_threshold:
                    raise
        if defects is not None and product.calibration is not None:
            readings = self._readings(self.fitting.team(product), defects)
            product = replace(product, calibration=with_defects(product.calibration, readings))
        return self.registry.save(seen, product, revision.note)

    def _renewed(
        self, product: Product, known: Calibration, good: Iterable[Named] | None
    ) -> Product:
        if known.alpha is None:
            limit = max(known.thresholds.values())
            return replace(product, calibration=by_hand(limit, product.view, None))
        if good is not None:
            product, calibration = self._split(product, known.alpha, good)
        else:
            product, calibration = self._folded(product, known.alpha, None)
        return replace(product, calibration=calibration)

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
        found, refused, distances, digests = Scores(), 0, list[float](), list[str]()
        for parts in _some(_different(good, support)):
            outcomes = judge.readings([image for _, image in parts])
            for (_, image), reading in zip(parts, outcomes, strict=True):
                if reading is None:
                    refused += 1
                else:
                    found.add(reading)
                    distances.append(traits.distance(reading.feature))
                    digests.append(pixel_digest(image))
        if not found.scores:
            raise InputError(
                f"none of the {refused} good parts can be judged: the quality gates refuse them; "
                "make the product from pictures like these"
            )
        calibration = make_calibration("split", alpha, found, refused=refused)
        return product, replace(
            calibration, distances=tuple(distances), pictures=set_digest(digests)
        )

    def _folded(
        self, product: Product, alpha: float, folds: int | None
    ) -> tuple[Product, Calibration]:
        """Thresholds from the support itself, each fold scored by a model of the others."""
        parts = folds_of(len(product.support), folds)
        scored, regions = sum(len(fold) for fold in parts), len(product.view.names)
        bound(scored, alpha, fold=len(parts[0]), regions=regions)  # refuses before the work
        backbone = self.fitting.same_backbone(product)
        maker = self.fitting.maker(product, backbone)
        images = [self.fitting.picture(picture) for picture in product.support]
        members, found = out_of_fold(maker, images, parts, product.view)
        method = "leave-one-out" if len(parts[0]) == 1 else "cross"
        traits = Traits.from_bytes(self.registry.blobs.get(product.traits), backbone)
        left_out = traits.left_out_distances()
        calibration = replace(
            make_calibration(method, alpha, found, fold=len(parts[0])),
            distances=tuple(left_out[place] for fold in parts for place in fold),
            pictures=set_digest(product.support[p].pixels for fold in parts for p in fold),
        )
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
