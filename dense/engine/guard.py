"""Keep a fine-tuned tower from forgetting what whole pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets._files import require_directory
from dense.datasets.captions import read_captions
from dense.engine.hooks import kept_method, method_of
from dense.engine.model import Method
from dense.engine.region_stage import count_correct
from dense.errors import InputError
from dense.evaluation.classification import LabelledPictures, read_labelled
from dense.images import read_image
from dense.methods.region_training import RegionTraining

STEPS = (1.0, 0.85, 0.7, 0.5, 0.35, 0.2, 0.1, 0.0)
"""Factors of α that are tried in order; the last one is the teacher itself."""


class AccuracyGuardHook(Hook):
    """Zero-shot accuracy of the mixed weights may not fall by more than a bound.

    Measured before training, every `every` iterations and at the end, on labelled pictures that
    are not a test set; averaged weights where there are, since they are exported. Where the
    accuracy of α · student + (1 − α) · teacher has fallen by more than `bound` points below the
    teacher's, α is lowered until it has not (``"lower"``), or training ends there and α is lowered
    for the export (``"stop"``). Every measurement is logged.
    Processes share the pictures.

    Args:
        pictures: From `guard_pictures`; ``None`` turns the guard off, with a warning.
        bound: Points in percent.
        every: Iterations between measurements; 0 measures at the end alone.
        action: ``"lower"`` or ``"stop"``.
        limit: Most pictures, evenly taken; all if ``None``.
        templates: Of the prompts.
        batch_size: Pictures at once.

    Raises:
        InputError: If an argument is out of range.
    """

    priority = "LOW"

    def __init__(
        self,
        pictures: LabelledPictures | None,
        *,
        bound: float = 1.0,
        every: int = 200,
        action: str = "lower",
        limit: int | None = 1000,
        templates: str = "short",
        batch_size: int = 32,
    ) -> None:
        if action not in ("lower", "stop"):
            raise InputError(f"the guard's action is 'lower' or 'stop', got {action!r}")
        if bound < 0 or every < 0:
            raise InputError(f"the guard needs bound and every ≥ 0, got {bound} and {every}")
        self.pictures = None if pictures is None else _thinned(pictures, limit)
        self.bound = bound
        self.every = every
        self.action = action
        self.templates = templates
        self.batch_size = batch_size
        self.weights: Tensor | None = None
        self.before = 0.0

    def before_train(self, runner: Runner) -> None:
        """Measure the teacher."""
        if self.pictures is None:
            runner.logger.warning(
                "guard: off, for want of class-labelled photos; name some by --cfg-options "
                "custom_hooks.0.pictures.source=DIR (class folders or captions.jsonl)"
            )
            return
        method = _region_training(kept_method(runner))
        classifier = build_text_classifier(
            method.backbone, self.pictures.class_names, templates=self.templates
        )
        self.weights = classifier.weights
        self.before = self._accuracy(method, 0.0)
        runner.logger.info(
            f"guard: teacher {self.before:.2f} % on {len(self.pictures.paths)} pictures of "
            f"{len(self.pictures.class_names)} classes; bound {self.bound:g} points"
        )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Measure what is due."""
        if self.every and self.every_n_train_iters(runner, self.every):
            lowered = self._hold(runner)
            if lowered and self.action == "stop":
                runner.logger.warning(f"guard: training stops at iteration {runner.iter + 1}")
                runner.train_loop._max_iters = runner.iter + 1

    def after_train(self, runner: Runner) -> None:
        """Measure, and lower α for the export if need be."""
        self._hold(runner)

    def _hold(self, runner: Runner) -> bool:
        """Lower α until the bound holds; tells whether it had to."""
        if self.pictures is None:
            return False
        method = _region_training(kept_method(runner))
        given = float(method.share)
        for factor in STEPS:
            share = given * factor
            accuracy = self._accuracy(method, share)
            fell = self.before - accuracy
            runner.logger.info(
                f"guard: α {share:.3f}: {accuracy:.2f} % ({-fell:+.2f} points, bound "
                f"-{self.bound:g})"
            )
            if fell <= self.bound + 1e-6:
                break
        if share != given:
            method.share.fill_(share)
            _region_training(method_of(runner)).share.fill_(share)  # what averaging follows
            runner.logger.warning(f"guard: α lowered from {given:.3f} to {share:.3f}")
        return share != given

    def _accuracy(self, method: RegionTraining, share: float) -> float:
        """Top-1 in percent with the weights mixed by `share`, over all processes."""
        rank, world = get_dist_info()
        pictures, weights = self.pictures, self.weights
        if pictures is None or weights is None:
            raise InputError("the guard measures between before_train and after_train alone")
        with method.mixed(share) as backbone:
            places = range(rank, len(pictures.paths), world)
            hits = self._count(backbone, pictures, weights, places)
        total = torch.tensor(float(hits), device=method.backbone.device)
        all_reduce(total)
        return 100 * float(total) / len(pictures.paths)

    def _count(
        self, backbone: CLIPBackbone, pictures: LabelledPictures, weights: Tensor, places: range
    ) -> int:
        preprocess, size = backbone.preprocess, backbone.image_size
        hits = 0
        for start in range(0, len(places), self.batch_size):
            some = places[start : start + self.batch_size]
            images = [read_image(pictures.paths[place]) for place in some]
            rows = [preprocess.to_tensor(preprocess.resize(image, size)) for image in images]
            labels = torch.from_numpy(pictures.labels[list(some)])
            hits += count_correct(backbone, backbone.to_batch(rows), weights, labels)
        return hits


def guard_pictures(source: str | Path, *, without: Sequence[str] = ()) -> LabelledPictures | None:
    """Class-labelled photos for the guard.

    Args:
        source: A folder with `captions.jsonl`, of which the validation pictures of kind ``class``
            are taken, or a folder for each class. ``None`` comes back if it has neither.
        without: Sources of `captions.jsonl` to leave out, e.g. those that are kept for tests.

    Raises:
        InputError: If there is no such folder.
    """
    folder = require_directory(Path(source), "the guard's photos")
    listed = folder / "captions.jsonl"
    if listed.is_file():
        pairs = [
            (record.path, record.texts[0])
            for record in read_captions(listed)
            if record.split == "val" and record.kind == "class" and record.source not in without
        ]
        names = tuple(sorted({name for _, name in pairs}))
        labels = np.array([names.index(name) for _, name in pairs], np.int64)
        found = LabelledPictures(tuple(path for path, _ in pairs), labels, names)
    else:
        try:
            found = read_labelled(folder)
        except InputError:
            return None
    return found if len(found.class_names) > 1 else None


def _region_training(method: Method) -> RegionTraining:
    if not isinstance(method, RegionTraining):
        raise InputError(f"the accuracy guard needs a region training, got {type(method).__name__}")
    return method


def _thinned(pictures: LabelledPictures, limit: int | None) -> LabelledPictures:
    """At most `limit` pictures, evenly spread; all classes stay choices."""
    count = len(pictures.paths)
    if limit is None or count <= limit:
        return pictures
    kept = [place * count // limit for place in range(limit)]
    paths = tuple(pictures.paths[place] for place in kept)
    return LabelledPictures(paths, pictures.labels[kept], pictures.class_names)
