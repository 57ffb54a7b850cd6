"""Testing online whether values are exchangeable: conformal p-values and bets against them.

Vovk, Gammerman, Nouretdinov, "Testing exchangeability on-line", ICML 2003; betting: Vovk, Petej,
Nouretdinov, Ahlberg, Carlsson, Gammerman, "Retrain or not retrain: conformal test martingales for
change-point detection", COPA 2021, arXiv:2102.10439, the Composite Jumper.

A capital that starts with 1 is bet against the p-values being uniform. If the values are
exchangeable no bet wins on average, and the capital ever reaches 1 / α with probability at most α
(Ville's inequality), however long one looks on and whenever one stops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

JUMPS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Rates at which bets are changed; the capital is split among them equally."""
BETS = np.asarray([-1.0, 0.0, 1.0])
"""Small p-values more often than large ones, neither, the reverse."""
TOGETHER = 1024
"""Values that are ranked at once."""

Values = NDArray[np.float64]


def online_p_values(known: Values, values: Values, uniforms: Values) -> Values:
    """Conformal p-value of each value among those known and all before it.

    If all are exchangeable these are independent and uniform (Vovk et al. 2003, theorem 1). Small
    ones are of large values.

    Args:
        known: (n,) values at the beginning, may be empty.
        values: (T,) in their order.
        uniforms: (T,) in [0, 1): how ties are broken, the new value among its equals.

    Returns:
        (T,) in [0, 1].
    """
    before, found = np.sort(known), []
    for start in range(0, len(values), TOGETHER):
        part = values[start : start + TOGETHER]
        low, high = (np.searchsorted(before, part, side=side) for side in ("left", "right"))
        earlier = np.tri(len(part), k=-1, dtype=bool)
        above = len(before) - high + ((part[None] > part[:, None]) & earlier).sum(1)
        equal = high - low + ((part[None] == part[:, None]) & earlier).sum(1) + 1
        total = len(before) + np.arange(1, len(part) + 1)
        found.append((above + uniforms[start : start + TOGETHER] * equal) / total)
        before = np.sort(np.concatenate([before, part]), kind="stable")
    return np.concatenate(found) if found else np.empty(0)


def log_capital(p_values: Values) -> Values:
    """Natural logarithm of the capital after each p-value, see `Capital`.

    Args:
        p_values: (T,) in [0, 1].

    Returns:
        (T,).
    """
    return Capital().bet(p_values)


class Capital:
    """The Composite Jumper's capital, 1 at the beginning.

    For each rate J the capital lies on three bets 1 + ε (p − 1/2), and before each p-value a share
    J of it is laid out anew among them, equally. The composite is the mean over `JUMPS`.
    """

    def __init__(self) -> None:
        self._lots = np.full((len(JUMPS), len(BETS)), 1 / len(BETS))  # shares, rows sum to 1
        self._logs = np.zeros(len(JUMPS))

    def bet(self, p_values: Values) -> Values:
        """Go on by (T,) p-values in [0, 1]; natural logarithm of the capital after each."""
        jumps, lots, logs = np.asarray(JUMPS)[:, None], self._lots, self._logs
        capital = np.empty(len(p_values))
        gains = 1 + BETS[None] * (p_values[:, None] - 0.5)
        for place, gain in enumerate(gains):
            lots = ((1 - jumps) * lots + jumps / len(BETS)) * gain
            grown = lots.sum(1)
            lots = lots / grown[:, None]
            logs = logs + np.log(grown)
            top = logs.max()
            capital[place] = top + np.log(np.exp(logs - top).mean())
        self._lots, self._logs = lots, logs
        return capital


class Run:
    """A test that goes on as values come: the same capital as on all of them at once.

    Args:
        known: (n,) values at the beginning, may be empty.
    """

    def __init__(self, known: Values) -> None:
        self._before, self._capital = known, Capital()

    def take(self, values: Values, uniforms: Values) -> Values:
        """Go on by (T,) values, see `online_p_values`; logarithm of the capital after each."""
        p_values = online_p_values(self._before, values, uniforms)
        self._before = np.concatenate([self._before, values])
        return self._capital.bet(p_values)
