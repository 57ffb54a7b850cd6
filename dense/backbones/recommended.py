"""Inference settings that a checkpoint recommends for itself, carried in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dense.backbones.attention import LastBlock, last_block
from dense.errors import InputError

NOTE = "recommended"
"""Key of the metadata entry, a JSON object with the fields below."""

MASKCLIP = last_block("value")


@dataclass(frozen=True)
class Recommended:
    """What to use unless the user says otherwise; chosen without any test set.

    Attributes:
        block: How the last block makes dense features for words.
        short_side: Input short side for segmentation and regions, in pixels.
        centring: Share of a picture's mean dense feature that is subtracted before words are
            compared (see `dense.heads.pixel.centre`).
        memory_layers: Block outputs whose patches are remembered for inspection.
        words_short_side: Input short side for inspection by patches against words, in pixels.
        memory_short_side: The same against remembered patches.
        class_token_share: Weight of the whole image in the zero-shot score by patches.
    """

    block: LastBlock = field(default=MASKCLIP)
    short_side: int = 448
    centring: float = 0.0
    memory_layers: tuple[int, ...] = (-5,)
    words_short_side: int = 336
    memory_short_side: int = 336
    class_token_share: float = 0.0


def read_recommended(notes: Mapping[str, str]) -> Recommended:
    """Read the entry from a checkpoint's metadata; the defaults where it is missing.

    Raises:
        InputError: If the entry is broken.
    """
    if NOTE not in notes:
        return Recommended()
    try:
        values = json.loads(notes[NOTE])
        block = last_block(
            values.pop("attention", "value"),
            residual=bool(values.pop("residual", True)),
            feed_forward=bool(values.pop("feed_forward", True)),
        )
        layers = tuple(int(layer) for layer in values.pop("memory_layers", (-5,)))
        return Recommended(block=block, memory_layers=layers, **values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the checkpoint's recommended settings are broken: {error}") from error
