"""What the command line and the demos do: whole jobs over files, through the library's own parts.

Every job returns a plain dictionary that is also what lands in ``results.json``.
"""

from dense.apps.detect import detect_images, detect_video, make_detector
from dense.apps.files import ModelOptions, Report, load_backbone
from dense.apps.inspect import (
    Inspector,
    inspect_images,
    make_inspector,
    read_support,
)
from dense.apps.reject import make_rejector, read_known, reject_images
from dense.apps.segment import (
    SegmentOutputs,
    class_shares,
    hidden_classes,
    make_segmentor,
    segment_images,
)
from dense.apps.video import segment_video

__all__ = [
    "Inspector",
    "ModelOptions",
    "Report",
    "SegmentOutputs",
    "class_shares",
    "detect_images",
    "detect_video",
    "hidden_classes",
    "inspect_images",
    "load_backbone",
    "make_detector",
    "make_inspector",
    "make_rejector",
    "make_segmentor",
    "read_known",
    "read_support",
    "reject_images",
    "segment_images",
    "segment_video",
]
