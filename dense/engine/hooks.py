"""Runner hooks: fit on the support, draw results, show progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dense.engine.model import Fittable, Method, Prediction
from dense.errors import InputError
from dense.images import write_image
from dense.methods.detection.panoptic import as_detections
from dense.structures import AnomalyResult, PanopticResult, Sample, SegmentationResult


class SupportSource(Protocol):
    """A data set that hands out normal pictures, e.g. `AnomalyFolder(split="train")`."""

    def support(self, shots: int, seed: int = 0) -> Sequence[Sample]:
        """`shots` normal samples of each category."""
        ...


def method_of(runner: Runner) -> Method:
    """The method object inside the Runner's model."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.method


def kept_method(runner: Runner) -> Method:
    """The method whose weights a training keeps: the averaged one where an `EMAHook` makes one."""
    averaged = [hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook)]
    return averaged[0].method if averaged else method_of(runner)


class FitOnSupportHook(Hook):
    """Calls `method.fit` on seeded support images before validation and test.

    Args:
        support: Where normal pictures come from.
        shots: Pictures of each category, at least 1.
        seed: Chooses the pictures.

    Raises:
        InputError: If the method has no `fit`, or a category too few pictures (when it runs).
    """

    priority = "LOW"

    def __init__(self, support: SupportSource, *, shots: int, seed: int = 0) -> None:
        self.support = support
        self.shots = shots
        self.seed = seed

    def before_test(self, runner: Runner) -> None:
        """Fit."""
        self._fit(runner)

    def before_val(self, runner: Runner) -> None:
        """Fit."""
        self._fit(runner)

    def _fit(self, runner: Runner) -> None:
        method = method_of(runner)
        if not isinstance(method, Fittable):
            raise InputError(
                f"{type(method).__name__} cannot use support images: it has no fit; use 0 shots"
            )
        samples = self.support.support(self.shots, self.seed)
        method.fit(samples)
        names = [Path(s.image_path).name for s in samples if s.image_path is not None]
        runner.logger.info(f"fitted on {len(samples)} support images: {', '.join(names)}")


class DrawResultsHook(Hook):
    """Writes every n-th test result as a picture, named by its place in the data set.

    Args:
        out_dir: Where pictures go; a folder for each category.
        every: Draw the samples whose index is a multiple of this.
        scale: Values of an anomaly map with the coldest and the hottest colour; ``None`` uses
            each map's own range, so that colours of different pictures do not compare.
    """

    priority = "LOW"

    def __init__(
        self,
        out_dir: str | Path,
        *,
        every: int = 1,
        scale: tuple[float, float] | None = None,
    ) -> None:
        if every < 1:
            raise InputError(f"every must be 1 or more, got {every}")
        self.out_dir = Path(out_dir)
        self.every = every
        self.scale = scale

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Sequence[Prediction] | None = None,
    ) -> None:
        """Draw what is due of a batch."""
        for prediction in outputs or ():
            if prediction.index % self.every == 0:
                path = prediction.sample.image_path
                stem = Path(path).stem if path is not None else "image"
                folder = self.out_dir / prediction.sample.category
                write_image(folder / f"{prediction.index:05d}_{stem}.png", self.draw(prediction))

    def draw(self, prediction: Prediction) -> np.ndarray:
        """The picture with its result laid over, (H', W', 3) uint8."""
        from dense.visualize import draw_anomaly, draw_detections, draw_segmentation

        sample, result = prediction.sample, prediction.result
        if isinstance(result, SegmentationResult):
            return draw_segmentation(sample.image, result)
        if isinstance(result, PanopticResult):
            result = as_detections(result)
        if not isinstance(result, AnomalyResult):
            return draw_detections(sample.image, result)
        low, high = self.scale or (float(result.anomaly_map.min()), float(result.anomaly_map.max()))
        scale = (low, high if high > low else low + 1.0)
        truth = None if sample.mask is None else sample.mask.astype(np.bool_)
        return draw_anomaly(sample.image, result, scale=scale, truth=truth)


class ProgressHook(Hook):
    """A progress bar over the test samples of the main process, on standard error."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Start the bar."""
        console = Console(stderr=True)
        if not is_main_process() or not console.is_terminal:
            return
        self.progress = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        total = len(runner.test_dataloader.sampler)
        self.task = self.progress.add_task("samples", total=total)
        self.progress.start()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Sequence[Prediction] | None = None,
    ) -> None:
        """Move the bar."""
        if self.progress is not None:
            self.progress.advance(self.task, len(outputs or ()))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Stop the bar."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
