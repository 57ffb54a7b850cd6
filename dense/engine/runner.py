"""MMEngine's Runner with our way of loading and a quiet terminal."""

from __future__ import annotations

import logging
import os

import torch
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from dense.engine.checkpoint import load_strictly, read_run_checkpoint, state_dict_of


def start_processes() -> str:
    """Join the process group if torchrun has started us; returns the Runner's `launcher`."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return "none"
    if not torch.distributed.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    return "pytorch"


class DenseRunner(Runner):
    """Loads checkpoints strictly and safely; leaves frozen models unwrapped; logs to its file."""

    quiet = False

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | torch.device = "cpu",
        strict: bool = True,
        revise_keys: object = None,
    ) -> dict[str, object]:
        """Load a run's checkpoint; always strict and always `weights_only`.

        Raises:
            InputError: If it cannot be read safely or does not fit the model.
        """
        checkpoint = read_run_checkpoint(filename, map_location)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        load_strictly(model, state_dict_of(checkpoint), str(filename))
        self._has_loaded = True
        self.logger.info(f"Load checkpoint from {filename}")
        return checkpoint

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for distributed training, unless there is nothing to train."""
        if any(parameter.requires_grad for parameter in model.parameters()):
            if self.distributed and not torch.cuda.is_available():
                from mmengine.model import MMDistributedDataParallel

                return MMDistributedDataParallel(module=model)
            return super().wrap_model(model_wrapper_cfg, model)
        device = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
        return model.to(device)

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **options: object
    ) -> MMLogger:
        """MMEngine's logger; when quiet, the terminal gets warnings alone, the file all."""
        logger = super().build_logger(log_level, log_file, **options)
        if self.quiet:
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(logging.WARNING)
        return logger


class QuietRunner(DenseRunner):
    """A `DenseRunner` for evaluation, whose table speaks for itself."""

    quiet = True
