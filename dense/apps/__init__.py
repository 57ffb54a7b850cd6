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
from dense.apps.looking import (
    classify_images,
    ground_images,
    make_finder,
    make_namer,
    regions_in_file,
    regions_in_masks,
    same_boxes,
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
    "classify_images",
    "detect_images",
    "detect_video",
    "ground_images",
    "hidden_classes",
    "inspect_images",
    "load_backbone",
    "make_detector",
    "make_finder",
    "make_inspector",
    "make_namer",
    "make_rejector",
    "make_segmentor",
    "read_known",
    "read_support",
    "regions_in_file",
    "regions_in_masks",
    "reject_images",
    "same_boxes",
    "segment_images",
    "segment_video",
]
