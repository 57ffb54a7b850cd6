"""Pictures of a decision, encoded for those who look at them later."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.decision import Decision


def encode_pictures(
    image: NDArray[np.uint8], decision: Decision, names: Collection[str]
) -> dict[str, bytes]:
    """Encode what is asked for.

    Args:
        image: (H, W, 3) uint8 RGB, as it was judged.
        decision: With its evidence; without, there is no ``defects.jpg``.
        names: Of ``picture.png`` (the pixels, without loss) and ``defects.jpg`` (heat, outlines of
            the defects and their boxes).

    Returns:
        Files by name.
    """
    files = {}
    if "picture.png" in names:
        files["picture.png"] = _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if "defects.jpg" in names and decision.evidence is not None:
        drawn = draw_decision(image, decision)
        files["defects.jpg"] = _encode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return files


def draw_decision(image: NDArray[np.uint8], decision: Decision) -> NDArray[np.uint8]:
    """Lay heat, outlines and boxes of the defects over a picture (H, W, 3).

    Raises:
        InputError: If the decision came without its evidence.
    """
    from dense.structures import AnomalyResult  # brings torch, which a watch starts without
    from dense.visualize import draw_anomaly

    if decision.evidence is None:
        raise InputError(f"decision {decision.id} has no maps to draw")
    evidence = decision.evidence
    result = AnomalyResult(evidence.anomaly_map, decision.score or 0.0, evidence.mask, None)
    drawn = draw_anomaly(image, result, scale=evidence.scale)
    width = max(1, round(min(image.shape[:2]) / 300))
    for defect in decision.defects:
        x0, y0, x1, y1 = defect.box
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), (255, 255, 0), width)
    return drawn


def _encode(suffix: str, image: NDArray[np.uint8], options: list[int]) -> bytes:
    good, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not good:
        raise InputError(f"a picture of {image.shape[:2]} cannot be written as {suffix}")
    return data.tobytes()
