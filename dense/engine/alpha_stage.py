"""Alpha-CLIP in the Runner: loader, student, and what is written at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dense.backbones import CLIPBackbone
from dense.datasets import DetectionFolder
from dense.datasets.referring import ReferringData
from dense.engine.hooks import method_of
from dense.engine.model import default_device
from dense.engine.train_common import epoch_loader, main_first
from dense.errors import InputError
from dense.methods.looking.alpha_clip import save_alpha
from dense.methods.looking.alpha_training import DEFAULT, AlphaSettings, AlphaTraining
from dense.training.region_phrases import AlphaSample, PhraseRule, RegionPhrases
from dense.training.text_table import TextTable


def phrase_loader(
    source: DetectionFolder | ReferringData,
    rule: PhraseRule,
    *,
    batch_size: int = 64,
    num_workers: int = 0,
    seed: int = 0,
) -> DataLoader[tuple[int, AlphaSample]]:
    """Loader of regions with words: another region of every picture in every epoch."""
    phrases = RegionPhrases(source, rule)
    return epoch_loader(phrases, batch_size=batch_size, num_workers=num_workers, seed=seed)


def alpha_student(
    backbone: CLIPBackbone,
    source: DetectionFolder | ReferringData,
    settings: AlphaSettings = DEFAULT,
) -> AlphaTraining:
    """Put the training of Alpha-CLIP together.

    Args:
        backbone: The CLIP that gets an alpha channel.
        source: What the loader reads, for its words.
        settings: See `AlphaSettings`.
    """
    words = RegionPhrases(source, PhraseRule()).texts
    table = main_first(lambda: TextTable(backbone.encode_text, words))
    return AlphaTraining(backbone, table, settings).to(default_device())


class ExportAlphaHook(Hook):
    """Writes `alpha.safetensors` into the work dir after training.

    Use it as `dense classify ... --looker alpha-clip --weights work_dirs/CONFIG/alpha.safetensors`.

    Args:
        out: Another place for the file.
        notes: Metadata: what it was trained on.
    """

    priority = "VERY_LOW"

    def __init__(
        self, *, out: str | Path | None = None, notes: Mapping[str, str] | None = None
    ) -> None:
        self.out = out
        self.notes = dict(notes or {})

    def after_train(self, runner: Runner) -> None:
        """Write the file (main process alone)."""
        if not is_main_process():
            return
        method = method_of(runner)
        if not isinstance(method, AlphaTraining):
            raise InputError(f"{type(method).__name__} has no alpha channel to export")
        path = Path(self.out or Path(runner.work_dir) / "alpha.safetensors")
        notes = {"model": method.backbone.name, "iterations": str(runner.iter), **self.notes}
        save_alpha(path, method.finished(), notes)
        runner.logger.info(f"exported {path}")
