"""Zero- and few-shot inspection of MVTec-style categories with an inspector of any kind."""

from __future__ import annotations

from dense.datasets.anomaly import AnomalyFolder
from dense.datasets.support import select_support
from dense.methods.anomaly.base import Inspector
from dense.metrics import PixelScores, anomaly_scores

BATCH = 16


def inspect_category(
    inspector: Inspector, root: str, category: str, *, shots: int = 0, seed: int = 0
) -> dict[str, float]:
    """Image and pixel metrics of one category, in percent, at original resolution.

    Args:
        inspector: A fresh one: it is fitted here when `shots` is positive.
        root: Folder that holds the category.
        category: Its name.
        shots: Number of normal training pictures to fit on.
        seed: Chooses them (sorted, without replacement).
    """
    if shots:
        train = AnomalyFolder(root, category, split="train")
        chosen = select_support([item.image_path for item in train.items], shots, seed)
        picked = set(chosen)
        support = [train[i] for i, item in enumerate(train.items) if item.image_path in picked]
        inspector.fit(support)
    test = AnomalyFolder(root, category, split="test")
    scores: list[float] = []
    pixels: PixelScores | None = PixelScores()
    for start in range(0, len(test), BATCH):
        batch = [test[i] for i in range(start, min(start + BATCH, len(test)))]
        for sample, result in zip(batch, inspector.predict(batch), strict=True):
            scores.append(result.score)
            if sample.mask is None and sample.label:
                pixels = None
            if pixels is not None:
                pixels.add(result.anomaly_map, sample.mask)
    return anomaly_scores(scores, [item.label for item in test.items], pixels)
