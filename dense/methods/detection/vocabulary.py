"""Words for a detector: what is asked for, and what is no object."""

from __future__ import annotations

from collections.abc import Sequence

from dense.prompts import ClassList, make_class_list

BACKGROUND = (
    "background",
    "wall",
    "floor",
    "ceiling",
    "sky",
    "ground",
    "road",
    "grass",
    "trees",
    "water",
    "shadow",
    "plain surface",
)
"""What is no object, unless it is asked for."""


def object_classes(classes: Sequence[str], background: Sequence[str] | None = None) -> ClassList:
    """A class list with background words.

    Args:
        classes: One entry a class, synonyms after semicolons.
        background: Words for what is no object; `BACKGROUND` without the classes' own words if
            ``None``, none if empty.

    Raises:
        InputError: If the words cannot be used.
    """
    asked = {word.strip().lower() for entry in classes for word in entry.split(";")}
    rest = [word for word in BACKGROUND if word not in asked]
    return make_class_list(classes, rest if background is None else list(background))
