"""Write what a training run has learned as a checkpoint that every command loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import open_clip
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dense.backbones import CLIPBackbone
from dense.backbones.export import save_checkpoint
from dense.backbones.loading import ASSETS, EMBEDDED
from dense.backbones.recommended import NOTE
from dense.backbones.weights import Config, read_checkpoint
from dense.engine.hooks import kept_method
from dense.errors import InputError
from dense.training.student import StudentShape


@runtime_checkable
class Exportable(Protocol):
    """A trainable method with a CLIP to hand out."""

    def finished(self) -> CLIPBackbone:
        """The CLIP as it is to be used."""
        ...


class ExportHook(Hook):
    """Writes `model.safetensors` into the work dir after training; averaged weights if there are.

    Load it by its path: `dense segment photo.jpg --model work_dirs/CONFIG/model.safetensors`.

    Args:
        shape: Architecture of the student, if it is one of ours.
        model: Else the name or path that the backbone was loaded from.
        packed: Int8 rows, a quarter of the size; otherwise fp32 that open_clip reads, too.
        out: Another place for the file.
        notes: Metadata: provenance, licence, recommended settings.

    Raises:
        InputError: If neither `shape` nor `model` says what the architecture is.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        shape: StudentShape | None = None,
        model: str | None = None,
        packed: bool = False,
        out: str | Path | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        kept: dict[str, str] = {}
        if shape is not None:
            self.model_cfg = shape.model_cfg()
        elif model is not None:
            self.model_cfg, kept = model_description(model)
        else:
            raise InputError("the export needs the student's shape or the name of its model")
        self.packed = packed
        self.out = out
        self.notes = {**kept, **(notes or {})}

    def after_train(self, runner: Runner) -> None:
        """Write the checkpoint (main process alone)."""
        if not is_main_process():
            return
        method = kept_method(runner)
        if not isinstance(method, Exportable):
            raise InputError(f"{type(method).__name__} has no CLIP to export")
        path = Path(self.out or Path(runner.work_dir) / "model.safetensors")
        backbone = method.finished()
        preprocess = backbone.preprocess
        save_checkpoint(
            path,
            backbone.model.state_dict(),
            self.model_cfg,
            preprocess_cfg={
                "mean": list(preprocess.mean),
                "std": list(preprocess.std),
                "interpolation": preprocess.interpolation,
            },
            notes=self.notes,
            packed=self.packed,
        )
        runner.logger.info(f"exported {path}")


def model_description(name: str) -> tuple[Config, dict[str, str]]:
    """Configuration and recommendations of a packaged model, an architecture, or a checkpoint.

    Raises:
        InputError: If it is not known.
    """
    known = open_clip.get_model_config(name)
    if known:
        return known, {}
    path = ASSETS / f"{name}.safetensors" if name in EMBEDDED else Path(name)
    checkpoint = read_checkpoint(path)
    if checkpoint.model_cfg is None:
        raise InputError(f"{name} does not describe its architecture")
    kept = {key: value for key, value in checkpoint.notes.items() if key == NOTE}
    return checkpoint.model_cfg, kept
