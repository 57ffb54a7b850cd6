"""How well a rejector tells foreign pictures from known ones."""

from __future__ import annotations

from collections.abc import Sequence

from dense.errors import InputError
from dense.methods.reject.base import Rejector
from dense.metrics import rejection_scores
from dense.structures import Sample


def evaluate_rejection(
    rejector: Rejector, foreign: Sequence[Sample], known: Sequence[Sample] | None = None
) -> dict[str, float]:
    """AUROC and FPR95 in percent, and the numbers of pictures.

    Args:
        rejector: The method.
        foreign: Pictures of what is not known.
        known: Further pictures of what is known; without them the held-out scores of `fit` count.

    Raises:
        InputError: If there are no known scores or no foreign pictures.
    """
    if known is None:
        inside = rejector.held_out.tolist()
    else:
        inside = [result.score for result in rejector.predict(known)]
    if not inside:
        raise InputError(
            "no known pictures to compare with: fit the rejector on some, or pass them"
        )
    outside = [result.score for result in rejector.predict(foreign)]
    counts = {"known": float(len(inside)), "foreign": float(len(outside))}
    return {**rejection_scores(inside, outside), **counts}
