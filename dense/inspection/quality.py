"""Gates before judging: a picture that is blurred, wrongly lit, shifted or foreign is refused.

All limits come from the support pictures: the worst of them, and a fixed margin beyond, so that
more pictures can only widen what passes. The margins were set by reasoning about cameras, not
fitted on any data set. Gates say "this picture cannot be judged"; the guarantee of a threshold is
about pictures that are judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.decision import Reason

SIDE = 1024
"""Pictures with a longer short side are measured at this one."""
THUMB = 128
"""Side of the squashed grey pictures whose shift is measured."""
SHARPNESS = 0.4
"""Least sharpness as a share of the least sharp support picture."""
LEVEL = 40.0
"""Grey levels of 255 beyond the darkest and brightest support picture."""
CLIPPED = 0.25
"""Share of black or white pixels beyond the support's largest."""
SHIFT = 0.1
"""Shift as a share of the side beyond the support's largest."""
EXPLAINED = 0.15
"""Correlation that a shift must add to count as one."""
ALIGNED = 0.05
"""Support pictures count as aligned, and a shift as an error, if they differ by less."""
ALIKE = 0.5
"""And if each correlates this much with another: pictures of a texture are nowhere aligned."""
FOREIGN = 3.0
"""Mahalanobis distance as a multiple of the largest held-out one among the support pictures."""
ALL_OVER = 0.5
"""Share of abnormal pixels above which a picture shows another product, not a defect."""
SPREAD_OUT = 0.35
"""The same where its feature is foreign too."""
FEWEST_KNOWN = 3
"""Support pictures that the foreign gate needs: two to learn from when one is held out."""


@dataclass(frozen=True)
class Quality:
    """What is measured on a picture.

    Attributes:
        sharpness: Variance of the Laplacian of the grey picture (Pech-Pacheco et al., ICPR 2000).
        level: Mean grey level, 0 to 255.
        dark: Share of pixels at or below level 4.
        bright: Share of pixels at or above level 251.
    """

    sharpness: float
    level: float
    dark: float
    bright: float


@dataclass(frozen=True)
class Gates:
    """Limits; ``None`` where the support cannot set one.

    Attributes:
        sharpness: Least.
        darkest: Least mean level.
        brightest: Largest mean level.
        dark: Largest share of black pixels.
        bright: Largest share of white pixels.
        shift: Largest shift against the nearest support picture, as a share of the side; ``None``
            for one picture or pictures that are not aligned with each other, e.g. of a texture.
        foreign: Largest score of `dense.methods.reject.mahalanobis` on the whole picture's
            feature; ``None`` with fewer than `FEWEST_KNOWN` pictures.
    """

    sharpness: float
    darkest: float
    brightest: float
    dark: float
    bright: float
    shift: float | None = None
    foreign: float | None = None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Gates:
        """The reverse of `to_json`.

        Raises:
            InputError: If a limit is no number.
        """
        shift, foreign = content["shift"], content["foreign"]
        return cls(
            _limit(content["sharpness"]),
            _limit(content["darkest"]),
            _limit(content["brightest"]),
            _limit(content["dark"]),
            _limit(content["bright"]),
            None if shift is None else _limit(shift),
            None if foreign is None else _limit(foreign),
        )


def measure(image: NDArray[np.uint8]) -> Quality:
    """Measure a picture (H, W, 3)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shrink = SIDE / min(grey.shape)
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return Quality(
        float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        float(grey.mean()),
        float((grey <= 4).mean()),
        float((grey >= 251).mean()),
    )


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(THUMB, THUMB) grey picture of (H, W, 3), squashed."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA), np.uint8)


def shift(thumb: NDArray[np.uint8], references: Sequence[NDArray[np.uint8]]) -> float:
    """Shift against the reference that fits best, as a share of the side.

    Phase correlation (Kuglin and Hines 1975) under a Hann window; turns and zooms are not seen. A
    repeating pattern fits as well a period further: a shift that explains little more than none
    at all (`EXPLAINED`) counts as none.
    """
    return _best_fit(thumb, references)[0]


def fit_gates(
    qualities: Sequence[Quality],
    thumbs: Sequence[NDArray[np.uint8]],
    foreign: Sequence[float] = (),
) -> Gates:
    """Limits from support pictures.

    Args:
        qualities: Of the support pictures.
        thumbs: Their thumbnails.
        foreign: Their held-out foreignness; empty for no such gate.
    """
    levels = [quality.level for quality in qualities]
    return Gates(
        sharpness=SHARPNESS * min(quality.sharpness for quality in qualities),
        darkest=max(0.0, min(levels) - LEVEL),
        brightest=min(255.0, max(levels) + LEVEL),
        dark=min(1.0, max(quality.dark for quality in qualities) + CLIPPED),
        bright=min(1.0, max(quality.bright for quality in qualities) + CLIPPED),
        shift=_largest_shift(thumbs),
        foreign=FOREIGN * max(foreign) if len(foreign) else None,
    )


def check_quality(quality: Quality, gates: Gates, *, moved: float | None = None) -> list[Reason]:
    """Why a picture cannot be judged, before the model has seen it; empty if it can.

    Args:
        quality: Of the picture.
        gates: Of the product.
        moved: Its shift, where the product has a limit for it.
    """
    reasons = []
    if quality.sharpness < gates.sharpness:
        reasons.append(
            Reason(
                "blur",
                f"blurred: sharpness {quality.sharpness:.3g}, at least {gates.sharpness:.3g} "
                "is needed",
            )
        )
    if quality.level < gates.darkest or quality.dark > gates.dark:
        reasons.append(
            Reason(
                "dark",
                f"too dark: mean level {quality.level:.0f} and {quality.dark:.0%} black, expected "
                f"{gates.darkest:.0f} or more and at most {gates.dark:.0%}",
            )
        )
    if quality.level > gates.brightest or quality.bright > gates.bright:
        reasons.append(
            Reason(
                "bright",
                f"too bright: mean level {quality.level:.0f} and {quality.bright:.0%} white, "
                f"expected {gates.brightest:.0f} or less and at most {gates.bright:.0%}",
            )
        )
    if moved is not None and gates.shift is not None and moved > gates.shift:
        reasons.append(
            Reason(
                "pose",
                f"shifted by {moved:.0%} of the side, at most {gates.shift:.0%} is allowed",
            )
        )
    return reasons


def _best_fit(
    thumb: NDArray[np.uint8], references: Sequence[NDArray[np.uint8]]
) -> tuple[float, float]:
    """Shift as in `shift`, and the correlation with the reference under it."""
    window = cv2.createHanningWindow((THUMB, THUMB), cv2.CV_32F)
    grey = thumb.astype(np.float32)
    found = [(*cv2.phaseCorrelate(ref.astype(np.float32), grey, window), ref) for ref in references]
    (dx, dy), _, reference = max(found, key=lambda peak: peak[1])
    resting = _correlation(thumb, reference, 0, 0)
    moved = _correlation(thumb, reference, round(dx), round(dy))
    if moved < resting + EXPLAINED:
        return 0.0, resting
    return math.hypot(dx, dy) / THUMB, moved


def _correlation(thumb: NDArray[np.uint8], reference: NDArray[np.uint8], dx: int, dy: int) -> float:
    """Correlation of the grey levels where the reference, moved by (dx, dy), overlaps."""
    own = thumb[max(0, dy) : THUMB + min(0, dy), max(0, dx) : THUMB + min(0, dx)]
    other = reference[max(0, -dy) : THUMB - max(0, dy), max(0, -dx) : THUMB - max(0, dx)]
    if own.size < 2 or own.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(own.ravel(), other.ravel())[0, 1])


def _largest_shift(thumbs: Sequence[NDArray[np.uint8]]) -> float | None:
    if len(thumbs) < 2:
        return None
    fits = [
        _best_fit(thumb, [*thumbs[:place], *thumbs[place + 1 :]])
        for place, thumb in enumerate(thumbs)
    ]
    largest, loosest = max(shift for shift, _ in fits), min(alike for _, alike in fits)
    return largest + SHIFT if largest <= ALIGNED and loosest >= ALIKE else None


def _limit(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"the gates of a product are finite numbers, got {value!r}")
    return float(value)
