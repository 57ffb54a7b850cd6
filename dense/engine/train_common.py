"""What the training stages share: order among processes, numbered items, loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from mmengine.dataset import DefaultSampler
from mmengine.dist import barrier, is_main_process
from torch.utils.data import DataLoader, Dataset

from dense.engine.data import collate

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


class EpochSampler(DefaultSampler):
    """A shuffled order whose numbers go on counting from epoch to epoch, see `RegionViews`."""

    def __iter__(self) -> Iterator[int]:
        for index in super().__iter__():
            yield self.epoch * len(self.dataset) + index


def epoch_loader(
    items: Dataset[Value], *, batch_size: int, num_workers: int = 0, seed: int = 0
) -> DataLoader[tuple[int, Value]]:
    """Loader for items that are drawn anew every epoch; equal shares for all processes."""
    numbered = Numbered(items)
    return DataLoader(
        numbered,
        batch_size=batch_size,
        sampler=EpochSampler(numbered, shuffle=True, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,
        drop_last=len(numbered) > batch_size,
    )
