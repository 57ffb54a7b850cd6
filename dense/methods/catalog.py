"""Every method by name: what the command line, the tables and the documentation list.

One row a method. `build` names a function ``module:function`` that is imported when the method is
used, so listing stays free of heavy imports. Inspection methods are built by
``function(backbone, products, *, shots, batch_size, threshold, weights)`` → `Inspector`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dense.errors import unknown_name

Task = Literal["inspect", "segment", "reject"]


@dataclass(frozen=True)
class Method:
    """A row of the catalogue.

    Attributes:
        name: As typed on the command line.
        task: What it does.
        title: As its paper calls it.
        paper: Authors, venue, arXiv number.
        build: ``module:function`` that makes it.
        verified: How its numbers are checked: what is compared with what, and where.
        zero_shot: Works without any picture of the product.
        few_shot: Uses normal support pictures.
        trained: Needs learned parts (`weights`): trained by ``dense train``, or the authors'.
    """

    name: str
    task: Task
    title: str
    paper: str
    build: str
    verified: str
    zero_shot: bool = True
    few_shot: bool = False
    trained: bool = False

    def builder(self) -> Callable[..., Any]:
        """Import the function that makes the method."""
        module, _, function = self.build.partition(":")
        return getattr(import_module(module), function)


WINCLIP = "Jeong et al., CVPR 2023, arXiv:2303.14814"

METHODS: tuple[Method, ...] = (
    Method(
        "winclip",
        "inspect",
        "WinCLIP, WinCLIP+",
        WINCLIP,
        "dense.methods.anomaly.winclip:build",
        "maps and scores equal anomalib 2.7 on the same weights to 1e-5, with and without support",
        few_shot=True,
    ),
    Method(
        "patch",
        "inspect",
        "Patch words, patch memory",
        "Roth et al., CVPR 2022, arXiv:2106.08265; Damm et al., WACV 2025, arXiv:2405.14529",
        "dense.methods.anomaly.patch:build",
        "hand-worked distances; laws",
        few_shot=True,
    ),
)


def methods(task: Task | None = None) -> tuple[Method, ...]:
    """All methods, or those of one task, in the catalogue's order."""
    return tuple(method for method in METHODS if task in (None, method.task))


def find_method(name: str, task: Task | None = None) -> Method:
    """Look a method up.

    Raises:
        InputError: If no method of the task has that name.
    """
    known = {method.name: method for method in methods(task)}
    if name not in known:
        raise unknown_name(f"{task} method" if task else "method", name, known)
    return known[name]
