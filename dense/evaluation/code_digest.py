"""A hash of the code that makes numbers: comments, docstrings and layout left out."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

NUMBERS = (
    "dense.backbones.attention",
    "dense.backbones.blocks",
    "dense.backbones.depth",
    "dense.backbones.dual_path",
    "dense.backbones.trace",
    "dense.backbones.vit",
    "dense.classifier",
    "dense.engine.f_vit",
    "dense.engine.f_vit_parts",
    "dense.engine.f_vit_settings",
    "dense.evaluation.inspection",
    "dense.explain",
    "dense.heads",
    "dense.memory",
    "dense.methods",
    "dense.metrics",
    "dense.postprocess",
    "dense.prompts",
    "dense.refine",
    "dense.regions",
)
"""Modules, and packages, whose code changes results; what else is imported is not looked at."""

LISTS = ("dense.methods.catalog",)
"""Modules among them that only list others."""


@cache
def code_digest(*modules: str) -> str:
    """Hash of modules and of all they import among `NUMBERS`, directly or not."""
    seen: set[str] = set()
    waiting = list(modules)
    trees = {}
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            trees[name] = ast.parse(Path(import_module(name).__file__ or "").read_text("utf-8"))
            waiting += [other for other in _imported(trees[name]) if _matters(other)]
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(trees):
        digest.update(f"{name} {ast.dump(_without_docstrings(trees[name]))}\n".encode())
    return digest.hexdigest()


def _matters(name: str) -> bool:
    inside = any(name == part or name.startswith(f"{part}.") for part in NUMBERS)
    return inside and name not in LISTS


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in below if name in sys.modules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = node.body[ast.get_docstring(node) is not None :]
    return tree
