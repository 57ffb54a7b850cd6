"""Square views of pictures, the same at every run: what a feature cache can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.structures import Size


@dataclass(frozen=True)
class View:
    """A square of a picture.

    Attributes:
        x: Left side in pixels.
        y: Upper side in pixels.
        side: Length in pixels.
        mirrored: Left and right are swapped.
    """

    x: float
    y: float
    side: float
    mirrored: bool = False

    def render(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Cut out of (H, W, 3) and resize (bicubic, antialiased) to (size, size, 3)."""
        box = (self.x, self.y, self.x + self.side, self.y + self.side)
        kind = Image.Resampling.BICUBIC
        cut = np.asarray(Image.fromarray(image).resize((size, size), kind, box=box))
        return np.ascontiguousarray(cut[:, ::-1] if self.mirrored else cut)


@dataclass(frozen=True)
class ViewRule:
    """How the view of a picture is drawn.

    Attributes:
        scale: Least and greatest side as a share of the short side of the picture.
        mirror: Probability of mirroring.
        seed: With the picture's index, decides everything.
    """

    scale: tuple[float, float] = (0.75, 1.0)
    mirror: float = 0.5
    seed: int = 0

    def __call__(self, size: Size, index: int) -> View:
        """The view of picture `index` of size (H, W)."""
        rng = np.random.default_rng([self.seed, index])
        height, width = size
        low, high = self.scale
        side = min(size) * float(np.sqrt(rng.uniform(low**2, high**2)))
        x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
        return View(float(x), float(y), side, bool(rng.random() < self.mirror))


def centre_view(size: Size) -> View:
    """The greatest central square of a picture of size (H, W)."""
    height, width = size
    side = min(size)
    return View((width - side) / 2, (height - side) / 2, side)
