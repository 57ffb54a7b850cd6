"""Pixel-adaptive mask refinement."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dense.refine.neighbours import Neighbourhood, ring, shifted


@dataclass(frozen=True)
class PAMR:
    """PAMR (Araslanov and Roth, CVPR 2020, arXiv:2005.08104, section 4.2).

    Each pixel is replaced by the mean of its 8 neighbours at several dilations, weighted by how
    near their colours are in units of the local standard deviation; repeated. The defaults are
    those of SCLIP, NACLIP and ResCLIP, `(1, 2, 4, 8, 12, 24)` is the paper's. Those methods filter
    similarities at original size; this filters probabilities at input size, where dilations reach
    as far relative to the objects for pictures of all sizes.

    Attributes:
        iterations: Times the mean is taken.
        dilations: Of the 8 neighbours, in input pixels.
    """

    iterations: int = 10
    dilations: tuple[int, ...] = (8, 16)

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine (K, h, w) probabilities by a picture (3, h, w).

        Classes that stay below an equal share everywhere cannot win before or after, because
        rows of the mean sum to one: they are left as they are.
        """
        offsets = ring(self.dilations)
        hood = Neighbourhood(colour_weights(image, self.dilations), offsets)
        share = probabilities.sum(0).min() / len(probabilities)
        alive = probabilities.flatten(1).amax(1) >= share
        refined = probabilities.float().clone()
        refined[alive] = hood.apply(probabilities[alive], self.iterations)
        return refined


def colour_weights(image: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """(O, h, w) soft-max over neighbours of minus the colour distance in local deviations.

    The deviation is over the 9 pixels at every dilation, the centre counted each time, as the
    authors compute it. image (3, h, w).
    """
    difference = shifted(image.float(), ring(dilations)).sub_(image)
    count = len(difference) + len(dilations)  # the centre's own differences are zero
    mean = difference.sum(0) / count
    squares = -count * mean.square()
    for plane in difference:  # faster than a sum of the squares of all
        squares.addcmul_(plane, plane)
    deviation = (squares.clamp(min=0) / (count - 1)).sqrt()
    nearness = difference.abs_().div_(1e-8 + 0.1 * deviation).mean(1).neg_().exp_()
    # The nearest neighbour is 3.2 deviations away at most (an outlier), so the sum is above e^-32.
    return nearness / nearness.sum(0)
