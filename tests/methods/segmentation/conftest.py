"""The tower on which the authors' own code was run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dense.backbones import DenseViT
from tests.reference import segmentation_inputs as given


@pytest.fixture(scope="module")
def vit() -> DenseViT:
    return DenseViT(given.model().visual).eval()


@pytest.fixture
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
