"""A row of the catalogue of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from dense.errors import InputError

Task = Literal["inspect", "segment", "reject", "detect", "look", "explain"]


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
        optional_weights: Works without learned parts, but can use them.
        own_classes: Knows the classes it was trained on and no others.
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
    optional_weights: bool = False
    own_classes: bool = False

    def builder(self) -> Callable[..., Any]:
        """Import the function that makes the method."""
        module, _, function = self.build.partition(":")
        return getattr(import_module(module), function)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules whose code makes the method."""
        return (self.build.partition(":")[0],)


def needs_weights(name: str, *, published: bool = False) -> InputError:
    """The error for a trained method without its learned parts.

    Args:
        name: Of the method, in the catalogue.
        published: Whether the authors' own files can be read, too.
    """
    made = f"made by `dense train configs/train/{name.replace('-', '_')}_embedded.py`"
    return InputError(
        f"{name} needs learned parts: pass their file as weights (--weights FILE), "
        + (f"either {made} or published by the authors" if published else made)
    )


GUIDED = "+guided"
"""Ending of the name of an inspection method that looks closer at suspicious places."""


@dataclass(frozen=True)
class GuidedMethod(Method):
    """An inspection method inside `dense.methods.anomaly.guided.GuidedInspector`."""

    @classmethod
    def of(cls, base: Method) -> GuidedMethod:
        """The guided form of a method."""
        values = {f.name: getattr(base, f.name) for f in fields(base)}
        values["name"] += GUIDED
        values["title"] += ", guided to suspicious places"
        values["verified"] += "; guidance: hand-worked regions and fusion, laws"
        return cls(**values)

    def builder(self) -> Callable[..., Any]:
        """See the base class."""
        build = import_module("dense.methods.anomaly.guided").build
        return partial(build, super().builder())

    @property
    def modules(self) -> tuple[str, ...]:
        """See the base class."""
        return (*super().modules, "dense.methods.anomaly.guided")


def refuse_weights(name: str, weights: str | Path | None) -> None:
    """Tell that a method has no learned parts, rather than leave a file unread.

    Args:
        name: Of the method, in the catalogue.
        weights: What was given, if anything.

    Raises:
        InputError: If a file was given.
    """
    if weights is not None:
        raise InputError(
            f"{name} has no learned parts, so {weights} would not be read: leave the weights out, "
            "or choose a method that learns (`dense methods` lists them)"
        )
