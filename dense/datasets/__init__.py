"""Data sets that return `dense.structures.Sample`: anyone's own folders, and the support choice."""

from dense.datasets.anomaly import AnomalyFolder
from dense.datasets.folder import DetectionFolder, SegmentationFolder
from dense.datasets.support import select_support

__all__ = ["AnomalyFolder", "DetectionFolder", "SegmentationFolder", "select_support"]
