"""Metrics as pure functions on numpy arrays.

Raw functions return fractions in [0, 1]; the tables ``segmentation_scores``,
``boundary_scores`` and ``anomaly_scores`` are in percent. Undefined values are nan.
"""

from dense.metrics.anomaly import AnomalyTally, anomaly_scores
from dense.metrics.calibration import (
    calibration_counts,
    calibration_error,
    expected_calibration_error,
)
from dense.metrics.localization import (
    PixelScores,
    aupro,
    component_labels,
    pixel_auroc,
    pixel_average_precision,
    pixel_f1_max,
)
from dense.metrics.pimo import PimoScores, aupimo
from dense.metrics.rank_curve import RankCurve
from dense.metrics.ranking import (
    auroc,
    average_precision,
    escape_at_overkill,
    f1_max,
    fpr_at_tpr,
    overkill_at_escape,
    rank_curve,
)
from dense.metrics.rejection import rejection_scores
from dense.metrics.segmentation import (
    BoundaryScores,
    SegmentationCounts,
    SegmentationScores,
    boundary_counts,
    boundary_iou,
    boundary_scores,
    confusion_matrix,
    mask_boundary,
    segmentation_scores,
)

__all__ = [
    "AnomalyTally",
    "BoundaryScores",
    "PimoScores",
    "PixelScores",
    "RankCurve",
    "SegmentationCounts",
    "SegmentationScores",
    "anomaly_scores",
    "aupimo",
    "aupro",
    "auroc",
    "average_precision",
    "boundary_counts",
    "boundary_iou",
    "boundary_scores",
    "calibration_counts",
    "calibration_error",
    "component_labels",
    "confusion_matrix",
    "escape_at_overkill",
    "expected_calibration_error",
    "f1_max",
    "fpr_at_tpr",
    "mask_boundary",
    "overkill_at_escape",
    "pixel_auroc",
    "pixel_average_precision",
    "pixel_f1_max",
    "rank_curve",
    "rejection_scores",
    "segmentation_scores",
]
