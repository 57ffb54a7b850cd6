"""Training of learned parts on a frozen CLIP in the Runner: what is written at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dense.engine.hooks import method_of
from dense.errors import InputError
from dense.methods.anomaly.training import InspectorTraining
from dense.methods.learned_files import LearnedMethod, save_learned


class ExportLearnedHook(Hook):
    """Writes `learned.safetensors` into the work dir after training.

    Use it as `dense inspect ... --method METHOD --weights work_dirs/CONFIG/learned.safetensors`,
    likewise `dense detect`, or as the setting `weights` of a segmentation method.

    Args:
        trained_on: What the training pictures are, for the file's metadata.
        out: Another place for the file.
        notes: Further metadata.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        *,
        trained_on: str,
        out: str | Path | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self.notes = {"trained_on": trained_on, **(notes or {})}
        self.out = out

    def after_train(self, runner: Runner) -> None:
        """Write the file (main process alone)."""
        if not is_main_process():
            return
        method = method_of(runner)
        source = method.inspector if isinstance(method, InspectorTraining) else method
        if not isinstance(source, LearnedMethod):
            raise InputError(
                f"{type(method).__name__} has no learned parts to export: it must have a name, "
                "settings, learned parts and a backbone"
            )
        path = Path(self.out or Path(runner.work_dir) / "learned.safetensors")
        notes = {**self.notes, "iterations": str(runner.iter)}
        save_learned(path, source, notes)
        runner.logger.info(f"exported {path}")
