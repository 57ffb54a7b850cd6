"""tools/patch_statistics.py: its numbers by hand, and its one line of trouble."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from dense.apps import files
from tests.helpers import photo, tiny_backbone


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[1] / "tools" / "patch_statistics.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows_by_hand(tool: ModuleType) -> None:
    """Two unit vectors at a right angle, side by side in columns: mean of length 1/√2."""
    dense = torch.zeros(1, 2, 2, 2)
    dense[0, 0, :, 0] = 3.0
    dense[0, 1, :, 1] = 0.5
    row = tool.method_row(dense, dense.flip(1))
    assert row["shared"] == pytest.approx(0.5**0.5)
    assert row["neighbours"] == pytest.approx(0.0)  # 1 downwards, -1 across
    assert row["trained"] == pytest.approx(0.0)


def test_entropy_by_hand(tool: ModuleType) -> None:
    even = torch.zeros(1, 1, 4, 8)
    assert tool.entropy(even, even, 1) == pytest.approx(1.0)
    two = torch.zeros(1, 1, 4, 8)
    two[..., :2, 0] = 90.0
    assert tool.entropy(two[:, :, :2], two, 0) == pytest.approx(math.log(2) / math.log(4))


def test_prints_a_line_a_method(
    tool: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(files, "load", lambda name, **options: tiny_backbone())
    Image.fromarray(photo(40, 56)).save(tmp_path / "a.png")
    assert tool.main([str(tmp_path), "--methods", "clip", "maskclip"]) == 0
    first, clip, maskclip = capsys.readouterr().out.splitlines()
    assert first.startswith("last block\tresidual") and "trained 1" in clip
    assert maskclip.startswith("maskclip\tshared") and not maskclip.endswith("trained 1")
    assert tool.main([str(tmp_path), "--methods", "maskclap"]) == 2
    assert "maskclip" in capsys.readouterr().err
