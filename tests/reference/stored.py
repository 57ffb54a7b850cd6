"""Numbers that outside code gave once, kept as JSON beside this module."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from tests.reference.segmentation_inputs import STEP


class Stored:
    """A file of named tensors, of which every `STEP`-th value is kept.

    Args:
        file: Its name.
    """

    def __init__(self, file: str) -> None:
        self.entries = json.loads((Path(__file__).parent / file).read_text())

    def same(self, name: str, got: Tensor, *, atol: float = 2e-5) -> None:
        """Compare; (B, D, gh, gw) is taken as (B, N, D) where the stored numbers are so."""
        entry = self.entries[name]
        rows = got.flatten(2).transpose(1, 2) if got.ndim == 4 and len(entry["shape"]) == 3 else got
        assert list(rows.shape) == entry["shape"]
        expected = torch.tensor(entry["values"])
        assert expected.std() > 1e-3
        torch.testing.assert_close(rows.flatten()[::STEP], expected, atol=atol, rtol=1e-4)
