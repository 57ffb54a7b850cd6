"""The repairs of libraries do what they say, and nothing more."""

import io
import pickle
import subprocess
import sys

import pytest
import torch

from dense.compat import (
    _nms,
    _roi_align,
    allow_mmengine_checkpoints,
    ensure_mmcv_ops,
    ensure_torchvision,
)


def plain_nms(boxes: torch.Tensor, scores: torch.Tensor, limit: float) -> list[int]:
    """The textbook loop."""
    left = scores.argsort(descending=True, stable=True).tolist()
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou(boxes[best], boxes[i]) <= limit]
    return kept


def iou(a: torch.Tensor, b: torch.Tensor) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(float(width), 0) * max(float(height), 0)
    areas = [float((x[2] - x[0]) * (x[3] - x[1])) for x in (a, b)]
    return inter / (sum(areas) - inter)


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.9])
def test_nms(limit: float) -> None:
    import torchvision

    corners = torch.rand(20, 2) * 20
    boxes = torch.cat([corners, corners + 1 + torch.rand(20, 2) * 10], dim=1)
    boxes = boxes.repeat(3, 1) + torch.rand(60, 4) * 0.1
    scores = torch.rand(60)
    expected = plain_nms(boxes, scores, limit)
    assert 1 < len(expected) < 60
    assert _nms(boxes, scores, limit).tolist() == expected
    assert torchvision.ops.nms(boxes, scores, limit).tolist() == expected


def test_nms_of_nothing() -> None:
    assert _nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_roi_align_of_a_ramp_is_the_position() -> None:
    """Averages of a linear picture are its values at the bin centres."""
    ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    rois = torch.tensor([[0.0, 4.0, 2.0, 12.0, 10.0]])
    got = _roi_align(ramp, rois, 1.0, 2, 4, 2, True)
    torch.testing.assert_close(got[0, 0], torch.tensor([4.5, 6.5, 8.5, 10.5]).expand(2, 4))


def test_torchvision_twice() -> None:
    assert ensure_torchvision() == ensure_torchvision()


@pytest.mark.slow
def test_torchvision_imports_after_the_repair() -> None:
    code = (
        "from dense.compat import ensure_torchvision; ensure_torchvision(); import torchvision; "
        "import torch; b = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 2.1]]); "
        "print(torchvision.ops.nms(b, torch.tensor([1., 2]), 0.5).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1]"


def test_mmcv_operators() -> None:
    kind = ensure_mmcv_ops()
    assert ensure_mmcv_ops() == kind
    from mmcv.ops import RoIAlign, nms

    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4.2], [8, 8, 9, 9]])
    kept = nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)[1]
    assert kept.tolist() == [1, 2]
    ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16).contiguous()
    align = RoIAlign((2, 4), spatial_scale=1.0, sampling_ratio=2)
    got = align(ramp, torch.tensor([[0.0, 4.0, 2.0, 12.0, 10.0]]))
    torch.testing.assert_close(got[0, 0], torch.tensor([4.5, 6.5, 8.5, 10.5]).expand(2, 4))


def test_other_mmcv_operators_say_what_is_missing() -> None:
    if ensure_mmcv_ops() == "native":
        pytest.skip("mmcv has its compiled operators here")
    import mmcv._ext

    with pytest.raises(RuntimeError, match=r"mmcv operator 'carafe_forward' is not available"):
        mmcv._ext.carafe_forward()
    assert not hasattr(mmcv._ext, "__path__")


def test_mmengine_checkpoints_load() -> None:
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer

    buffer = HistoryBuffer()
    for value in (1.0, 2.0, 4.0):
        buffer.update(value)
    stream = io.BytesIO()
    content = {"message_hub": {"log": {"loss": buffer}, "n": np.float64(3.5)}, "w": torch.ones(2)}
    torch.save(content, stream)
    allow_mmengine_checkpoints()
    allow_mmengine_checkpoints()
    stream.seek(0)
    loaded = torch.load(stream, weights_only=True)
    assert loaded["message_hub"]["log"]["loss"].mean(3) == pytest.approx(7 / 3)
    assert loaded["message_hub"]["n"] == 3.5


class _ReadsAttribute:
    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (torch.nn.Module, "__init__")


def test_nothing_else_becomes_loadable() -> None:
    allow_mmengine_checkpoints()
    stream = io.BytesIO()
    torch.save({"w": _ReadsAttribute()}, stream)
    stream.seek(0)
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match=r"refused|[Ww]eights.only"):
        torch.load(stream, weights_only=True)
