"""What the training stages share: order among processes, numbered items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mmengine.dist import barrier, is_main_process
from torch.utils.data import Dataset

Value = TypeVar("Value")


def main_first(make: Callable[[], Value]) -> Value:
    """Let the main process fill caches, then let the others read them."""
    if not is_main_process():
        barrier()
    value = make()
    if is_main_process():
        barrier()
    return value


class Numbered(Dataset[tuple[int, Value]]):
    """Items with their numbers, as `dense.engine.data.collate` wants them."""

    def __init__(self, items: Dataset[Value]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[int, Value]:
        return index, self.items[index]
