"""A row of the catalogue of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Task = Literal["inspect", "segment", "reject", "detect"]


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
