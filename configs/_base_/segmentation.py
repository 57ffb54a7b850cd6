"""Shared by segmentation configs: the metric, words for a background class.

The background words are those that SCLIP (Wang et al., ECCV 2024) introduced for VOC's background
and that later papers kept.
"""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.engine.metrics import SegmentationMetric

test_evaluator = [dict(type=SegmentationMetric)]

background_words = [
    "sky",
    "wall",
    "tree",
    "wood",
    "grass",
    "road",
    "sea",
    "river",
    "mountain",
    "sands",
    "desk",
    "bed",
    "building",
    "cloud",
    "lamp",
    "door",
    "window",
    "wardrobe",
    "ceiling",
    "shelf",
    "curtain",
    "stair",
    "floor",
    "hill",
    "rail",
    "fence",
]
