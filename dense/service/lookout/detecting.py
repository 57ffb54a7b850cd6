"""A decision in the form that the discontinued service answered with."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left

import numpy as np

from dense.inspection.product import Product
from dense.legends import palette
from dense.service.evidence import Kept
from dense.service.models.decisions import DecisionModel, DefectModel
from dense.service.models.lookout import AnomalyModel, AnomalyResultModel, ImageSource, PixelAnomaly
from dense.service.pictures import encode
from dense.service.what_if import worst

_OTHER = re.compile(r"[^a-zA-Z0-9]")
BACKGROUND = "#FFFFFF"


def show_result(decision: DecisionModel, product: Product, maps: Kept | None) -> AnomalyResultModel:
    """The answer; a picture that cannot be judged counts as anomalous, for it does not pass."""
    anomalous = decision.verdict != "pass"
    anomalies, drawn = None, None
    if maps is not None and maps.mask is not None:
        anomalies, drawn = _anomalies(decision.defects, maps.mask)
    return AnomalyResultModel(
        Source=ImageSource(Type="direct"),
        IsAnomalous=anomalous,
        Confidence=_confidence(decision, product, anomalous),
        Anomalies=anomalies,
        AnomalyMask=drawn,
    )


def ordinary(score: float, product: Product) -> float:
    """Conformal p-value: share of good parts, this one among them, at least as abnormal."""
    known = product.calibration
    good = sorted([] if known is None else worst(known.scores))
    return (1 + len(good) - bisect_left(good, score)) / (len(good) + 1)


def _confidence(decision: DecisionModel, product: Product, anomalous: bool) -> float:
    """1 − p if anomalous, p if not: a rank among good parts, no probability."""
    if decision.score is None:
        return 1.0
    scores = [region.score for region in decision.regions] or [decision.score]
    share = ordinary(max(scores), product)
    return 1.0 - share if anomalous else share


def _anomalies(
    defects: list[DefectModel], mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> tuple[list[AnomalyModel], str]:
    """Areas by kind of anomaly, the background first, and the mask in their colours."""
    names = list(dict.fromkeys(_name(defect) for defect in defects))
    colours = palette(len(names))
    drawn = np.full((*mask.shape, 3), 255, np.uint8)
    kinds = np.full(mask.shape, -1, np.int64)
    for defect in reversed(defects):
        x0, y0, x1, y1 = defect.box
        window = kinds[y0:y1, x0:x1]
        window[mask[y0:y1, x0:x1]] = names.index(_name(defect))
    shares = [float((kinds == place).mean()) for place in range(len(names))]
    for place, colour in enumerate(colours):
        drawn[kinds == place] = colour
    background = PixelAnomaly(TotalPercentageArea=1.0 - sum(shares), Color=BACKGROUND)
    rows = [AnomalyModel(Name="background", PixelAnomaly=background)]
    for name, share, colour in zip(names, shares, colours, strict=True):
        shown = PixelAnomaly(TotalPercentageArea=share, Color="#" + bytes(colour.tolist()).hex())
        rows.append(AnomalyModel(Name=name, PixelAnomaly=shown))
    return rows, base64.b64encode(encode(drawn, ".png")).decode()


def _name(defect: DefectModel) -> str:
    """The word that fits best, in the letters that names have there."""
    best = next(iter(defect.words), "")
    return _OTHER.sub("", best.title() if " " in best else best) or "anomaly"
