"""What a sink is."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

VERDICTS = ("pass", "reject", "refused")


@dataclass(frozen=True)
class Message:
    """A decision on its way to a sink.

    Attributes:
        sequence: Its number in the journal; rises, also across restarts.
        id: The decision's stable id.
        product: Name of the product.
        text: The decision as JSON, with its sequence: the same bytes at every attempt.
        pictures: Pictures by name, PNG or JPEG; empty if the sink wants none.
    """

    sequence: int
    id: str
    product: str
    text: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def body(self) -> dict[str, object]:
        """The decision as plain values, see `Decision.to_json`."""
        values: dict[str, object] = json.loads(self.text)
        return values


class DeliveryError(Exception):
    """A sink has not taken a decision.

    Args:
        text: Why.
        done: How many of the messages were taken before.
        refused: Whether the next one will never be taken as it is; otherwise it is tried again.
    """

    def __init__(self, text: str, *, done: int = 0, refused: bool = False) -> None:
        super().__init__(text)
        self.done, self.refused = done, refused


class Sink(ABC):
    """Takes decisions.

    Attributes:
        name: Its address without options; the key of what waits for it.
        batch: How many messages it is given at once at most.
        pictures: Names of the pictures that it wants, of ``picture.png`` (as judged) and
            ``defects.jpg`` (with heat and outlines).
        only: Verdicts that it gets.
    """

    name: str
    batch: int = 1
    pictures: tuple[str, ...] = ()
    only: frozenset[str] = frozenset(VERDICTS)

    def open(self, product: str) -> None:  # noqa: B027
        """Connect or begin to listen before there is something to deliver; failures come again.

        Raises:
            DeliveryError: If it does not work now.
        """

    @abstractmethod
    def deliver(self, messages: Sequence[Message]) -> None:
        """Hand over messages in this order; return when the other side has them for good.

        Called from one thread. Any error means: not delivered, try again.

        Raises:
            DeliveryError: With how far it came.
        """

    def close(self) -> None:  # noqa: B027
        """Let go of connections; from the thread that delivers."""
