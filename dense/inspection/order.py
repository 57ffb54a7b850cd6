"""What a user says of a product, before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.product import Picture, Product
from dense.inspection.view import View
from dense.prompts import NO_WORDS, StateWords

Named = tuple[str, NDArray[np.uint8]]
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

    @classmethod
    def of(cls, product: Product) -> Order:
        """What was said of a product that there is."""
        return cls(
            product.name,
            product.words,
            product.method,
            product.state_words,
            product.view,
            product.mm_per_pixel,
            product.model,
            product.pretrained,
        )

    def check(self, support: Sequence[Named]) -> None:
        """Refuse pictures that it cannot be made from.

        Raises:
            InputError: If there are none, or their sizes do not fit regions or scale.
        """
        if not support:
            raise InputError("no support pictures: expected at least one good picture")
        sizes = {image.shape[:2] for _, image in support}
        if (self.view.size or self.mm_per_pixel) and len(sizes) > 1:
            raise InputError(
                f"regions and a scale need pictures of one size, got {sorted(sizes)}: crop them, "
                "or leave regions and scale out"
            )
        if self.view.size not in (None, *sizes):
            raise InputError(
                f"the regions are for pictures of {self.view.size}, the support has {sizes}"
            )


@dataclass(frozen=True)
class Revision:
    """A change of a product that needs its models fitted anew.

    Attributes:
        note: What was done.
        order: What is said of it from now on; as before if ``None``.
        add: Good pictures that join the support.
        without: Pixel digests of support pictures that leave it.
    """

    note: str
    order: Order | None = None
    add: Sequence[Named] = ()
    without: frozenset[str] = frozenset()

    def remaining(self, product: Product) -> list[Picture]:
        """Support pictures that stay."""
        return [picture for picture in product.support if picture.pixels not in self.without]
