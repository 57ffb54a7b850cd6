"""The one function that explains, whatever the method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.explain.base import Explainer, Explanation
from dense.explain.pair import Pair, make_pair
from dense.images import resize_map
from dense.methods.catalog import find_method

DEFAULT = "heads"
"""Fast, and the only one whose shares sum to the score."""


def explain(
    backbone: CLIPBackbone,
    image: NDArray[np.uint8],
    words: str,
    *,
    method: str | Explainer = DEFAULT,
    against: Sequence[str] = (),
    short_side: int | None = None,
) -> Explanation:
    """Say which places and words made the similarity of a picture and a sentence.

    Args:
        backbone: A loaded CLIP with CLIP's own text tower, in fp32.
        image: (H, W, 3) uint8.
        words: The sentence.
        method: An "explain" method of the catalogue, or one with settings of one's own.
        against: Sentences whose mean similarity is subtracted: why this and not those?
        short_side: Input short side in pixels, aspect kept; the tower's own if ``None``.

    Raises:
        InputError: If there are no words, the picture is of one colour, the method is unknown, or
            the checkpoint lacks what the method reads.
    """
    check_picture(image)
    pair = make_pair(backbone, image, words, against=against, short_side=short_side)
    return explain_pair(pair, find_explainer(method), (image.shape[0], image.shape[1]))


def check_picture(image: NDArray[np.uint8]) -> None:
    """Refuse pictures of one colour.

    Raises:
        InputError: If all pixels are equal.
    """
    if (image == image[:1, :1]).all():
        raise InputError(
            "the picture has one colour all over: there is nothing in it to explain; give "
            "another picture"
        )


def find_explainer(method: str | Explainer) -> Explainer:
    """A method by its name, with the settings of its paper.

    Raises:
        InputError: If there is none of that name.
    """
    if isinstance(method, Explainer):
        return method
    made: Explainer = find_method(method, "explain").builder()()
    return made


def explain_pair(pair: Pair, explainer: Explainer, size: tuple[int, int]) -> Explanation:
    """The same for towers that have run; `size` is the (H, W) of the map."""
    found = explainer.attribute(pair)
    patches, tokens = (_numbers(part) for part in (found.patches, found.tokens))
    sentence = pair.text.sentence
    return Explanation(
        resize_map(patches, size),
        patches,
        sentence.words,
        sentence.by_word(tokens, mean=found.mean_of_tokens),
        sentence.pieces,
        tokens,
        pair.score,
        sentence.text,
        tuple(side.sentence.text for side in pair.against),
        {**explainer.describe(), "model": pair.backbone.name, "grid": list(pair.layout.grid)},
        found.parts,
        None if found.interactions is None else _numbers(found.interactions),
        None if found.heads is None else _numbers(found.heads),
    )


def _numbers(values: object) -> NDArray[np.float32]:
    return np.asarray(values.detach().cpu().numpy(), np.float32)  # type: ignore[attr-defined]
