"""Cutters by name: segment-anything where a checkpoint is given, GrabCut otherwise."""

from __future__ import annotations

import logging
from functools import lru_cache

from dense.errors import unknown_name
from dense.refine.cut import Cutter, GrabCut

NAMES = ("grabcut", "sam", "sam:FILE")
_LOG = logging.getLogger(__name__)


def is_cutter(name: str) -> bool:
    """Whether a post-processing step is a cutter's."""
    return name in ("grabcut", "sam") or name.startswith("sam:")


def find_cutter(name: str) -> Cutter:
    """A cutter.

    Args:
        name: ``"grabcut"``; ``"sam:FILE"`` or ``"sam:hub:OWNER/NAME/FILE"`` for segment-anything;
            ``"sam"`` alone has no checkpoint: GrabCut stands in, and the card says so.

    Raises:
        InputError: If the name is unknown or the checkpoint cannot be used.
        MissingDependencyError: If a package is missing.
    """
    if not is_cutter(name):
        raise unknown_name("cutter", name, NAMES)
    if name == "grabcut":
        return GrabCut()
    if name == "sam":
        _LOG.warning("no segment-anything checkpoint (sam:FILE): GrabCut cuts instead")
        return GrabCut(instead_of="segment-anything has no checkpoint")
    return _sam(name.removeprefix("sam:"))


def cutter_label(name: str) -> str:
    """What the card says of a post-processing step: stand-ins and files by their names."""
    if name == "sam":
        return "grabcut (segment-anything has no checkpoint)"
    if name.startswith("sam:"):
        return f"sam:{name.rpartition('/')[2].removeprefix('sam:')}"
    return name


@lru_cache(maxsize=1)
def _sam(weights: str) -> Cutter:
    import torch

    from dense.providers.sam_cutter import SamCutter

    return SamCutter.load(weights, device="cuda" if torch.cuda.is_available() else "cpu")
