"""Run a config: what `tools/test.py`, `tools/train.py`, `dense evaluate` and `dense train` do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process

from dense.engine.build import build_runner, load_config
from dense.engine.hooks import DrawResultsHook, ProgressHook, method_of
from dense.engine.model import Described
from dense.errors import DenseError, InputError
from dense.outputs import check_writable

Report: TypeAlias = dict[str, object]


def test_config(
    config: str | Path,
    *,
    data_root: str | Path | None = None,
    options: Mapping[str, object] | None = None,
    work_dir: str | Path | None = None,
    shots: int | None = None,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    draw_dir: str | Path | None = None,
    draw_every: int = 1,
) -> Report:
    """Evaluate a config on its test set.

    Args:
        config: Config file.
        data_root: Replaces the config's `data_root`.
        options: Overrides by dotted key.
        work_dir: For the log; `work_dirs/CONFIG` if ``None``.
        shots: Support images of each category; 0 turns the support off.
        seed: Seed of the support choice and of everything else.
        checkpoint: Weights of a training run to load first.
        draw_dir: Where to draw results; nothing is drawn if ``None``.
        draw_every: Draw every n-th sample.

    Returns:
        `config`, `data_root`, `samples`, `seconds`, `protocol` (the method's card), `overall`
        (metric → percent), and `per_class` or `per_category` (name → metric → percent).

    Raises:
        InputError: For anything in config, options or data that cannot be used.
    """
    cfg = load_config(config, options, data_root=data_root)
    _set_support(cfg, shots, seed)
    _require_data(cfg)
    if cfg.get("test_dataloader") is None:
        raise InputError(f"{config} has no test_dataloader to evaluate on")
    _drop(cfg, ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"))
    _drop(cfg, ("val_dataloader", "val_cfg", "val_evaluator"))
    _load_from(cfg, checkpoint)
    runner = build_runner(cfg, work_dir=_work_dir(config, work_dir), quiet=True)
    runner.register_hook(ProgressHook())
    if draw_dir is not None:
        runner.register_hook(DrawResultsHook(check_writable(draw_dir), every=draw_every))
    start = time.perf_counter()
    metrics = _plainly(runner.test)
    seconds = time.perf_counter() - start
    method = method_of(runner)
    report: Report = {
        "config": str(config),
        "data_root": cfg.get("data_root"),
        "samples": len(runner.test_dataloader.dataset),
        "seconds": round(seconds, 2),
        "processes": runner.world_size,
        "protocol": {
            **(method.describe() if isinstance(method, Described) else {}),
            "seed": cfg.get("randomness", {}).get("seed", 0),
        },
    }
    return {**report, **split_metrics(metrics)}


test_config.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name


def train_config(
    config: str | Path,
    *,
    data_root: str | Path | None = None,
    options: Mapping[str, object] | None = None,
    work_dir: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    checkpoint: str | Path | None = None,
) -> Report:
    """Train a config.

    Args:
        config: Config file.
        data_root: Replaces the config's `data_root`.
        options: Overrides by dotted key.
        work_dir: For log and checkpoints; `work_dirs/CONFIG` if ``None``.
        seed: Seed of the run.
        resume: Go on from the last checkpoint in the work dir.
        checkpoint: Weights to start from.

    Returns:
        `config`, `work_dir`, `iterations`, `seconds`, `checkpoint` (the last one written).

    Raises:
        InputError: For anything in config, options or data that cannot be used.
    """
    cfg = load_config(config, options, data_root=data_root)
    _set_support(cfg, None, seed)
    _require_data(cfg)
    if cfg.get("train_dataloader") is None:
        raise InputError(f"{config} has no train_dataloader: it can be evaluated but not trained")
    _drop(cfg, ("test_dataloader", "test_cfg", "test_evaluator"))
    place = _work_dir(config, work_dir)
    cfg.resume = resume
    _load_from(cfg, checkpoint)
    runner = build_runner(cfg, work_dir=place)
    start = time.perf_counter()
    _plainly(runner.train)
    last = place / "last_checkpoint"
    return {
        "config": str(config),
        "work_dir": str(place),
        "iterations": runner.iter,
        "seconds": round(time.perf_counter() - start, 2),
        "checkpoint": last.read_text().strip() if last.is_file() else None,
    }


def split_metrics(metrics: Mapping[str, float]) -> Report:
    """Sort flat metrics into `overall`, and `per_class` or `per_category` by name."""
    overall = {key: value for key, value in metrics.items() if "/" not in key}
    overall |= {k: v for k, v in metrics.items() if k.startswith(("mmseg/", "mmdet/"))}
    parts: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        metric, mark, name = key.partition("/")
        if mark and metric not in ("mmseg", "mmdet"):
            parts.setdefault(name, {})[metric] = value
    return {
        "overall": overall,
        "per_class" if {"miou", "pq"} & set(overall) else "per_category": parts,
    }


def finish() -> bool:
    """Leave the process group; tells whether this is the process that reports."""
    main = is_main_process()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # The main process may still export: who leaves early tears its connections down.
        barrier()
        torch.distributed.destroy_process_group()
    return main


def _plainly(run: Callable[[], object]) -> dict[str, float]:
    """Run, and give errors from loader workers, which carry a traceback, their own sentence."""
    try:
        result = run()
    except DenseError as error:
        text = str(error)
        if "\n" in text:
            kind = type(error)
            raise kind(text.strip().splitlines()[-1].partition(": ")[2]) from error
        raise
    return dict(result) if isinstance(result, Mapping) else {}


def _set_support(cfg: Config, shots: int | None, seed: int | None) -> None:
    if shots is not None:
        if shots < 0:
            raise InputError(f"shots must be 0 or more, got {shots}")
        if shots and cfg.get("support") is None:
            raise InputError("this config has no support images: leave --shots out")
        if cfg.get("support") is not None:
            cfg.support.shots = shots
    if seed is not None:
        if not 0 <= seed < 2**32:
            raise InputError(f"the seed must lie in [0, 2**32), got {seed}")
        cfg.randomness = {**cfg.get("randomness", {}), "seed": seed}
        if cfg.get("support") is not None:
            cfg.support.seed = seed


def _load_from(cfg: Config, checkpoint: str | Path | None) -> None:
    if checkpoint is not None:
        if not Path(checkpoint).is_file():
            raise InputError(f"no such checkpoint: {checkpoint}")
        cfg.load_from = str(checkpoint)


def _require_data(cfg: Config) -> None:
    root = cfg.get("data_root")
    if isinstance(root, str) and not Path(root).is_dir():
        raise InputError(
            f"the data are not in {root}: prepare them as data/README.md describes, or pass "
            "--data-root DIR"
        )


def _drop(cfg: Config, keys: tuple[str, ...]) -> None:
    for key in keys:
        cfg._cfg_dict.pop(key, None)


def _work_dir(config: str | Path, work_dir: str | Path | None) -> Path:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return check_writable(work_dir or Path("work_dirs") / Path(config).stem)
