"""How a segmentation is run, apart from the method: input size, windows, scale, decision.

The literature has two families, and the same method scores differently in each: one table must
hold one of them fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from dense.errors import InputError, unknown_name

Threshold = float | Literal["otsu"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class SegmentProtocol:
    """Everything outside the method that changes the numbers.

    Attributes:
        name: For the card.
        short_side: Input short side in pixels (rounded to patches), aspect kept; ``None`` keeps
            the original resolution.
        crop: Side of square sliding windows in pixels; ``None`` sees the whole image at once.
        stride: Step of the windows in pixels; ``None`` is half the crop.
        logit_scale: Multiplier from similarity to logits; ``None`` is the classifier's. It only
            matters for thresholds, refinement and calibration, not for the winning class.
        threshold: Probability (soft-max over all queries, then the largest synonym) below which a
            pixel goes to the background; it moves with `logit_scale` and with the number of
            queries. ``"otsu"`` chooses it for each picture without labels, see
            `dense.postprocess.label_free_threshold`.
        refine: Names of post-processing steps in order, see `dense.refine`.

    Raises:
        InputError: If the threshold is no probability or ``"otsu"``, or a length is below 1.
    """

    name: str = "own"
    short_side: int | None = 448
    crop: int | None = None
    stride: int | None = None
    logit_scale: float | None = None
    threshold: Threshold = 0.0
    refine: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        value = self.threshold
        if value != "otsu" and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise InputError(
                f'the threshold is a probability in [0, 1] or "otsu", got {self.threshold!r}'
            )
        for name in ("short_side", "crop", "stride"):
            length = getattr(self, name)
            if length is not None and length < 1:
                raise InputError(f"{name} must be 1 pixel or more, got {length}")

    def changed(
        self,
        *,
        short_side: int | Literal["original"] | None = None,
        crop: int | None = None,
        stride: int | None = None,
        logit_scale: float | None = None,
        threshold: Threshold | None = None,
        refine: Sequence[str] | None = None,
    ) -> SegmentProtocol:
        """The same with the values that are not ``None`` replaced; the name then says so.

        Raises:
            InputError: As the class.
        """
        new = replace(
            self,
            short_side=_given(short_side, self.short_side) if short_side != "original" else None,
            crop=_given(crop, self.crop),
            stride=_given(stride, self.stride),
            logit_scale=_given(logit_scale, self.logit_scale),
            threshold=_given(threshold, self.threshold),
            refine=self.refine if refine is None else tuple(refine),
        )
        return new if new == self else replace(new, name=f"{self.name}, changed")


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value


WHOLE = SegmentProtocol("whole")
"""The whole picture at once with the checkpoint's own scale: this package's default."""

SCLIP_FAMILY = SegmentProtocol("sclip", short_side=336, crop=224, stride=112, logit_scale=40.0)
"""SCLIP, NACLIP, ResCLIP, SC-CLIP: small windows, soft scale (Cityscapes: short side 560)."""

TCL_FAMILY = SegmentProtocol("tcl", short_side=448, crop=448, stride=224, logit_scale=100.0)
"""TCL, CLIP-DINOiser, Talk2DINO, after GroupViT: large windows, CLIP's own scale."""

PROTOCOLS = {protocol.name: protocol for protocol in (WHOLE, SCLIP_FAMILY, TCL_FAMILY)}


def find_protocol(name: str) -> SegmentProtocol:
    """Look a preset up.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise unknown_name("segmentation protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
