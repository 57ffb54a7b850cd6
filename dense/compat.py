"""Three small repairs that let the pinned libraries work together.

1. `ensure_torchvision`: the registry's torchvision wheel is built for CUDA; beside a CPU-only torch
   its operators do not load and `import torchvision` fails. NMS and RoIAlign are then registered
   in plain torch; where the native operators load, nothing is changed.
2. `ensure_mmcv_ops`: mmcv-lite has no `mmcv._ext`, which MMSegmentation and MMDetection import.
   A stand-in module carries the operators that inference needs; all others raise when called.
3. `allow_mmengine_checkpoints`: MMEngine's checkpoints hold a few of its own and numpy's classes;
   allowing exactly these keeps `torch.load(weights_only=True)` working for resuming.

Each function is idempotent and returns what it did.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
import types
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

_library: torch.library.Library | None = None


def _native_torchvision() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # not installed: its own import error says it best
    folder = Path(next(iter(spec.submodule_search_locations)))
    libraries = (*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dylib"))
    try:
        for library in libraries:
            torch.ops.load_library(str(library))
    except (OSError, ImportError):
        return False
    return True


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression. boxes (R, 4) xyxy, scores (R,) → kept indices by score."""
    order = torch.argsort(scores, descending=True, stable=True)
    sorted_boxes = boxes[order].float() if boxes.dtype.itemsize < 4 else boxes[order]
    area = (sorted_boxes[:, 2:] - sorted_boxes[:, :2]).prod(1)
    alive = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = sorted_boxes[i + 1 :]
        top_left = torch.maximum(sorted_boxes[i, :2], rest[:, :2])
        bottom_right = torch.minimum(sorted_boxes[i, 2:], rest[:, 2:])
        inter = (bottom_right - top_left).clamp(min=0).prod(1)
        alive[i + 1 :] &= inter / (area[i] + area[i + 1 :] - inter) <= iou_threshold
    return order[alive]


def _roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    module = importlib.import_module("torchvision.ops.roi_align")  # the package hides its name
    in_python = inspect.unwrap(module._roi_align)  # the wrapper compiles, which takes minutes
    return in_python(
        features, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned
    )


def ensure_torchvision() -> Literal["native", "python"]:
    """Make `import torchvision` work; call before anything imports it."""
    global _library
    if _library is not None:
        return "python"
    if "torchvision" in sys.modules or _native_torchvision():
        return "native"
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
        "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor"
    )
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CompositeExplicitAutograd")
    library.impl("roi_align", _roi_align, "CompositeImplicitAutograd")
    _library = library
    import torchvision.extension  # noqa: F401

    for name, module in list(sys.modules.items()):  # importing it has copied the old answer about
        if name.startswith("torchvision.") and hasattr(module, "_has_ops"):
            setattr(module, "_has_ops", lambda: True)  # noqa: B010
    return "python"


class _MissingOps(types.ModuleType):
    """Stands in for `mmcv._ext`: unknown operators exist and raise when called."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: object, **__: object) -> None:
            raise RuntimeError(
                f"mmcv operator {name!r} is not available: mmcv-lite has no compiled operators; "
                "install a compiled mmcv 2.1 to use it"
            )

        return missing


def _mmcv_nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5, offset: int = 0) -> Tensor:
    from torchvision.ops import nms

    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return nms(boxes.float(), scores.float(), float(iou_threshold))


def _mmcv_roi_align(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    from torchvision.ops import roi_align

    if pool_mode != 1:
        raise RuntimeError("RoIAlign without compiled mmcv operators pools by average only")
    size = (aligned_height, aligned_width)
    output.copy_(roi_align(input, rois, size, spatial_scale, sampling_ratio or -1, aligned))


def ensure_mmcv_ops() -> Literal["native", "python"]:
    """Make `import mmcv.ops` work; call before MMSegmentation or MMDetection is imported."""
    ensure_torchvision()
    import mmcv

    if isinstance(sys.modules.get("mmcv._ext"), _MissingOps):
        return "python"
    if importlib.util.find_spec("mmcv._ext") is not None:
        return "native"
    module = _MissingOps("mmcv._ext")
    module.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
    module.__file__ = __file__
    module.nms = _mmcv_nms  # type: ignore[attr-defined]
    module.roi_align_forward = _mmcv_roi_align  # type: ignore[attr-defined]
    sys.modules["mmcv._ext"] = module
    mmcv._ext = module
    return "python"


def allow_mmengine_checkpoints() -> None:
    """Let `torch.load(weights_only=True)` read the checkpoints that MMEngine writes.

    Nothing else becomes loadable: a pickled call of `getattr` is honoured for the statistics
    methods of `HistoryBuffer` alone.
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer
    from numpy._core import multiarray

    methods = {"min", "max", "mean", "current", "statistics", "_set_default_statistics"}

    def history_method(owner: object, name: str) -> object:
        if owner is HistoryBuffer and name in methods:
            return getattr(owner, name)
        raise RuntimeError(f"refused to read attribute {name!r} of {owner!r} from a checkpoint")

    dtypes = [
        getattr(np.dtypes, name)
        for name in dir(np.dtypes)
        if name.endswith("DType") and name != "ObjectDType"
    ]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            multiarray._reconstruct,
            multiarray.scalar,
            np.ndarray,
            np.dtype,
            slice,
            (history_method, "builtins.getattr"),
            *dtypes,
        ]
    )
