"""Settings of F-ViT, kept with its learned parts."""

from __future__ import annotations

from dataclasses import dataclass

from dense.errors import InputError
from dense.methods.detection.detector import DetectSettings

NAME = "f-vit"
AS_PUBLISHED = DetectSettings(least=0.01, overlap=0.4)
"""What the authors keep of a picture's detections."""
GROUP = 8
"""Channels of the pyramid that are normalised together."""


@dataclass(frozen=True)
class FViTSettings:
    """The defaults are F-ViT's for ViT-B/16 on OV-COCO.

    Attributes:
        classes: Names whose boxes were learned: the base classes.
        layers: Four blocks, by index or share of the depth.
        side: Long side of pictures in pixels; in training, of the square.
        base: Exponent of the frozen scores for base classes, the head's has the rest.
        novel: The same for all other classes.
        sharpness: Multiplier of the frozen cosines, as a share of the checkpoint's logit scale.
        channels: Of the pyramid, a multiple of 8.
        width: Of the region head's linear layers.
        convs: Convolutions of the region head.
        proposals: Most boxes that go from the proposals to the region head.
        background_weight: Of the background class in the loss.
    """

    classes: tuple[str, ...] = ()
    layers: tuple[float | int, ...] = (1 / 3, 1 / 2, 2 / 3, 1.0)
    side: int = 640
    base: float = 0.1
    novel: float = 0.8
    sharpness: float = 0.75
    channels: int = 256
    width: int = 512
    convs: int = 4
    proposals: int = 1000
    background_weight: float = 0.2

    def __post_init__(self) -> None:
        if len(self.layers) != 4:
            raise InputError(f"F-ViT reads four layers, got {len(self.layers)}")
        if self.channels < GROUP or self.channels % GROUP:
            raise InputError(
                f"channels must be a positive multiple of {GROUP}, got {self.channels}"
            )
        for name in ("base", "novel"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in ("side", "width", "proposals"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, got {getattr(self, name)}")
