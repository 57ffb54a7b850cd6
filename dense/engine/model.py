"""One Runner adapter for all methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from mmengine.model import BaseModel
from torch import Tensor

from dense.errors import InputError
from dense.structures import (
    AnomalyResult,
    DetectionResult,
    PanopticResult,
    Sample,
    SegmentationResult,
)

Result: TypeAlias = SegmentationResult | AnomalyResult | DetectionResult | PanopticResult
Mode: TypeAlias = Literal["loss", "predict", "tensor"]


class Method(Protocol):
    """What `RunnerModel` asks of a method."""

    def predict(self, samples: Sequence[Sample]) -> Sequence[Result]:
        """One result a sample, in order."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A method that the Runner can train; it must be an `nn.Module` as well."""

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Named losses; values whose name contains "loss" are summed and minimised."""
        ...


@runtime_checkable
class Fittable(Protocol):
    """A method that learns from normal support images without gradients."""

    def fit(self, support: Sequence[Sample]) -> object:
        """Remember the support."""
        ...


@runtime_checkable
class Described(Protocol):
    """A method with a protocol card."""

    def describe(self) -> dict[str, object]:
        """Everything that changes the numbers."""
        ...


@dataclass(frozen=True)
class Prediction:
    """A result with the sample it belongs to.

    Attributes:
        index: Position of the sample in its data set.
        sample: The sample, with its ground truth.
        result: What the method made of it.
    """

    index: int
    sample: Sample
    result: Result


class RunnerModel(BaseModel):
    """Wraps a method object for MMEngine's Runner.

    A batch is `{"index": [...], "samples": [...]}` as `dense.engine.data.collate` makes it.

    Args:
        method: Any object with `predict(samples)`. If it is an `nn.Module`, its weights are the
            model's; to be trained it needs `loss(samples)` too.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(
        self, index: Sequence[int], samples: Sequence[Sample], mode: Mode = "tensor"
    ) -> dict[str, Tensor] | list[Prediction] | list[Result]:
        """Run one batch.

        Args:
            index: Position of each sample in its data set.
            samples: The batch.
            mode: ``"loss"`` → named losses; ``"predict"`` → predictions paired with their
                samples; ``"tensor"`` → bare results.

        Raises:
            InputError: If the method cannot be trained, or gives another number of results than
                it got samples.
        """
        if mode == "loss":
            return self._loss(samples)
        results = list(self.method.predict(samples))
        if len(results) != len(samples):
            raise InputError(
                f"{type(self.method).__name__}.predict must give one result a sample, got "
                f"{len(results)} for {len(samples)}"
            )
        if mode == "tensor":
            return results
        rows = zip(index, samples, results, strict=True)
        return [Prediction(int(i), sample, result) for i, sample, result in rows]

    def _loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        if not isinstance(self.method, Trainable):
            raise InputError(
                f"{type(self.method).__name__} cannot be trained: it has no loss(samples); use "
                "tools/test.py"
            )
        return self.method.loss(samples)


def default_device() -> str:
    """The GPU of this process (by `LOCAL_RANK`) if there is one, else ``"cpu"``."""
    import os

    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
