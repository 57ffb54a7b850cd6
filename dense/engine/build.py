"""New-style configs: read, override, build.

A config names classes and functions themselves under the key `type`; `build` makes the innermost
first. Dictionaries without `type` stay dictionaries.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import ConfigParsingError
from mmengine.evaluator import Evaluator
from mmengine.runner import set_random_seed

from dense.compat import ensure_mmcv_ops
from dense.engine.runner import DenseRunner, QuietRunner, start_processes
from dense.errors import InputError, unknown_name

_numbers = itertools.count()

_BUILT = (
    "model",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "val_evaluator",
    "test_evaluator",
)
_PLAIN = ("train_cfg", "val_cfg", "test_cfg", "optim_wrapper", "param_scheduler", "default_hooks")


def load_config(
    path: str | Path,
    overrides: Mapping[str, object] | None = None,
    *,
    data_root: str | Path | None = None,
) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: A Python file in MMEngine's new style.
        overrides: Values by dotted key, e.g. ``{"model.method.short_side": 336}``.
        data_root: Replaces the config's top-level `data_root`, also inside other values that
            are this path or lie below it.

    Raises:
        InputError: If the file is missing or not a config, a key does not exist, or there is no
            `data_root` to replace.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such config: {path}")
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(
            f"{path} is not a config: expected a Python file whose name has letters, digits and "
            "underscores alone"
        )
    ensure_mmcv_ops()
    try:
        cfg = Config.fromfile(path, lazy_import=True, format_python_code=False)
    except (ConfigParsingError, SyntaxError, ImportError, NameError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read the config {path}: {reason}") from error
    if data_root is not None:
        old = cfg.get("data_root")
        if not isinstance(old, str):
            raise InputError(f"{path} has no data_root that could be replaced")
        _replace_root(cfg._cfg_dict, old, str(data_root))
    _apply(cfg, overrides or {})
    return cfg


def parse_options(options: Sequence[str]) -> dict[str, object]:
    """Parse `KEY=VALUE` options; values are Python literals, or else strings.

    Raises:
        InputError: If an option has no ``=``.
    """
    parsed: dict[str, object] = {}
    for option in options:
        key, sign, text = option.partition("=")
        if not sign or not key:
            raise InputError(f"cannot use the option {option!r}: expected KEY=VALUE")
        try:
            parsed[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            parsed[key] = {"true": True, "false": False}.get(text.lower(), text)
    return parsed


def build(node: object) -> object:
    """Build a config value: children first, then the class or function under `type`.

    Raises:
        InputError: If `type` is not callable, or an argument is misspelt or missing.
    """
    if isinstance(node, Mapping):
        children = {key: build(value) for key, value in node.items() if key != "type"}
        if "type" not in node:
            return children
        return _call(node["type"], children)
    if isinstance(node, list | tuple):
        return type(node)(build(value) for value in node)
    return node


def build_runner(cfg: Config, *, work_dir: str | Path, quiet: bool = False) -> DenseRunner:
    """Build the Runner of a config, joining torchrun's processes if there are any.

    Evaluation reads `test_*`, training `train_*`, `optim_wrapper` and, if set, `val_*`; `support`
    (a data set, shots, seed) becomes a `FitOnSupportHook` when its shots are positive.

    Args:
        cfg: From `load_config`.
        work_dir: For logs and checkpoints.
        quiet: Write the log to its file alone, warnings apart.

    Raises:
        InputError: If the config cannot be built.
    """
    launcher = start_processes()
    seed = int(cfg.get("randomness", {}).get("seed", 0))
    set_random_seed(seed)
    parts: dict[str, object] = {key: build(cfg[key]) for key in _BUILT if cfg.get(key) is not None}
    for key in ("val_evaluator", "test_evaluator"):
        if key in parts:
            parts[key] = Evaluator(parts[key])
    parts.update({key: _literal(cfg[key]) for key in _PLAIN if cfg.get(key) is not None})
    hooks = [build(hook) for hook in cfg.get("custom_hooks") or []] + _support_hooks(cfg)
    runner_type = QuietRunner if quiet else DenseRunner
    stem = Path(cfg.filename).stem if cfg.filename else "config"
    return runner_type(
        **parts,
        work_dir=str(work_dir),
        custom_hooks=hooks,
        launcher=launcher,
        env_cfg={"cudnn_benchmark": False, "dist_cfg": {}},
        randomness={"seed": seed},
        load_from=cfg.get("load_from"),
        resume=bool(cfg.get("resume", False)),
        log_processor=_literal(cfg.get("log_processor")),
        log_level=cfg.get("log_level", "INFO"),
        experiment_name=f"{stem}_{next(_numbers)}",
        cfg=_as_text(cfg),
    )


def _support_hooks(cfg: Config) -> list[object]:
    from dense.engine.hooks import FitOnSupportHook

    support = cfg.get("support")
    if support is None or not support.get("shots"):
        return []
    hook = {"type": FitOnSupportHook, "support": support["dataset"]}
    return [build({**hook, "shots": support["shots"], "seed": support.get("seed", 0)})]


def _call(factory: object, arguments: dict[str, object]) -> object:
    if not callable(factory):
        raise InputError(
            f"type must be a class or function imported by the config, got {factory!r}"
        )
    name = getattr(factory, "__name__", str(factory))
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some builtins have none
        return factory(**arguments)
    _check_arguments(name, signature, arguments)
    return factory(**arguments)


def _check_arguments(
    name: str, signature: inspect.Signature, arguments: Mapping[str, object]
) -> None:
    parameters = signature.parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        known = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
        for key in arguments:
            if key not in known:
                raise unknown_name(f"argument of {name}", key, known)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise InputError(f"{name} cannot be built from the config: {error}") from error


def _replace_root(node: dict | list, old: str, new: str) -> None:
    rows = list(dict.items(node)) if isinstance(node, dict) else list(enumerate(node))
    for key, value in rows:
        if isinstance(value, dict | list):
            _replace_root(value, old, new)
        elif isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
            changed = new + value[len(old) :]
            if isinstance(node, dict):
                dict.__setitem__(node, key, changed)
            else:
                node[key] = changed


def _apply(cfg: Config, overrides: Mapping[str, object]) -> None:
    for key, value in overrides.items():
        *parents, last = key.split(".")
        node: object = cfg._cfg_dict
        for name in parents:
            node = _child(node, name)
        # A new key is an argument of something that is built, and checked when it is.
        if not isinstance(node, dict) or not (last in node or "type" in node):
            raise unknown_name("config key", key, _dotted(cfg._cfg_dict))
        dict.__setitem__(node, last, value)


def _child(node: object, name: str) -> object:
    """An entry of a dictionary by its key, or of a list by its place; ``None`` if there is none."""
    if isinstance(node, list | tuple):
        return node[int(name)] if name.isdigit() and int(name) < len(node) else None
    return dict.get(node, name) if isinstance(node, dict) else None


def _dotted(node: dict[str, object], prefix: str = "") -> list[str]:
    names = []
    for key, value in dict.items(node):
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += _dotted(value, f"{prefix}{key}.")
    return names


def _literal(node: object) -> object:
    """Plain dictionaries and lists, with classes kept: what MMEngine itself builds from."""
    if isinstance(node, Mapping):
        return {key: _literal(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_literal(value) for value in node)
    return node


def _as_text(cfg: Config) -> Config:
    """The config with classes by their names: what is written into work dirs and checkpoints."""
    names: set[str] = getattr(cfg, "_imported_names", set())
    plain = {key: _named(value) for key, value in cfg.items() if key not in names}
    return Config(plain, filename=cfg.filename, format_python_code=False)


def _named(node: object) -> object:
    if isinstance(node, Mapping):
        return {str(key): _named(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_named(value) for value in node]
    if callable(node):
        return f"{node.__module__}.{getattr(node, '__qualname__', type(node).__name__)}"
    if node is None or isinstance(node, str | int | float | bool):
        return node
    return str(node)
