"""Input checks shared by the metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError


def as_binary(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Convert labels or a mask that hold only 0 and 1 to bool.

    Args:
        values: Array of any shape: bool, or numbers that are 0 or 1.
        name: What the array is called in the error message.

    Returns:
        A bool array of the same shape.

    Raises:
        InputError: A value is neither 0 nor 1 (a grey mask edge, a class index, nan).
    """
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    binary: NDArray[np.bool_] = array == 1
    others = np.asarray(array[~binary & (array != 0)])
    if others.size:
        raise InputError(
            f"{name} must hold only 0 and 1, but it holds {others.flat[0]!s}; "
            f"apply a threshold first, for example {name} > 127 for an 8-bit picture."
        )
    return binary


def as_finite(values: ArrayLike, name: str) -> NDArray[np.floating]:
    """Convert scores to a finite floating array.

    Args:
        values: Array of any shape and any real dtype; integers become float64.
        name: What the array is called in the error message.

    Returns:
        The scores in their own floating dtype.

    Raises:
        InputError: The array is empty or a value is nan or infinite.
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.size == 0:
        raise InputError(f"{name} must hold at least one value, but it is empty; pass the scores.")
    finite = np.isfinite(array)
    if not finite.all():
        raise InputError(
            f"{name} must be finite, but {int(array.size - finite.sum())} of {array.size} values "
            "are nan or infinite; mend the model output before it is scored."
        )
    return array


def check_fraction(value: float, name: str) -> float:
    """Return ``value`` if it lies in (0, 1].

    Raises:
        InputError: The value lies outside of (0, 1].
    """
    if not 0.0 < value <= 1.0:
        raise InputError(
            f"{name} must be a fraction in (0, 1], but it is {value}; write 30 percent as 0.3."
        )
    return float(value)


def check_share(value: float, name: str) -> None:
    """Accept a fraction in [0, 1).

    Raises:
        InputError: The value lies outside of [0, 1).
    """
    if not 0.0 <= value < 1.0:
        raise InputError(
            f"{name} must be a fraction in [0, 1), but it is {value}; write 2 percent as 0.02."
        )
