"""Text features that stay the same during training, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from dense.datasets.defects import PHRASES
from dense.errors import InputError
from dense.training.words import ANOMALOUS, NORMAL

Encoder = Callable[[Sequence[str]], Tensor]
"""Texts → (P, D) embeddings."""


class TextTable(nn.Module):
    """Unit text features by text.

    The features are not part of checkpoints.

    Args:
        encode: Gives the features.
        texts: Everything that will be asked for.
    """

    features: Tensor

    def __init__(self, encode: Encoder, texts: Iterable[str]) -> None:
        super().__init__()
        rows = sorted(set(texts))
        if not rows:
            raise InputError("a text table needs at least one text")
        self.index = {text: number for number, text in enumerate(rows)}
        features = F.normalize(encode(rows).float(), dim=-1)
        self.register_buffer("features", features.cpu(), persistent=False)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Rows (P, D) of texts, in order.

        Raises:
            InputError: If a text is not in the table.
        """
        try:
            rows = [self.index[text] for text in texts]
        except KeyError as error:
            raise InputError(f"the text table does not hold {error.args[0]!r}") from error
        return self.features[torch.tensor(rows, device=self.features.device)]


class StateTable(nn.Module):
    """What "intact" and "damaged" mean in the joint space, for every name and kind of damage.

    Args:
        encode: Gives the features.
        names: Names of things.
    """

    normal: Tensor
    general: Tensor
    special: Tensor

    def __init__(self, encode: Encoder, names: Iterable[str]) -> None:
        super().__init__()
        rows = sorted(set(names))
        self.index = {name: number for number, name in enumerate(rows)}
        for name, forms in (("normal", NORMAL), ("general", ANOMALOUS)):
            self.register_buffer(name, _features(encode, rows, forms), persistent=False)
        kinds = [_features(encode, rows, forms).mean(1) for forms in PHRASES.values()]
        special = F.normalize(torch.stack(kinds, 1), dim=-1)
        self.register_buffer("special", special, persistent=False)

    def forward(self, names: Sequence[str], *, generator: Generator | None = None) -> Tensor:
        """Unit rows (B, 2, D) of the normal and the anomalous state.

        Args:
            names: Of the things.
            generator: Draws one to four phrases for every second thing, so that no single wording
                matters; without it all phrases are averaged.

        Raises:
            InputError: If a name is not in the table.
        """
        rows = self._rows(names)
        pairs = [
            torch.stack([_mean(forms, generator) for forms in (self.normal[r], self.general[r])])
            for r in rows
        ]
        return torch.stack(pairs)

    def kinds_of(self, names: Sequence[str]) -> Tensor:
        """Unit rows (B, kinds, D) of the kinds of damage, in the order of `KINDS`."""
        return self.special[self._rows(names)]

    def _rows(self, names: Sequence[str]) -> list[int]:
        unknown = [name for name in names if name not in self.index]
        if unknown:
            raise InputError(f"the state table does not hold {unknown[0]!r}")
        return [self.index[name] for name in names]


def _mean(forms: Tensor, generator: Generator | None) -> Tensor:
    """Unit mean of rows (S, D), or of a few of them."""
    if generator is not None and float(torch.rand((), generator=generator)) < 0.5:
        count = int(torch.randint(1, 5, (), generator=generator))
        chosen = torch.randperm(len(forms), generator=generator)[:count]
        forms = forms[chosen.to(forms.device)]
    return F.normalize(forms.mean(0), dim=-1)


def _features(encode: Encoder, names: Sequence[str], forms: Sequence[str]) -> Tensor:
    """(names, forms, D) unit rows."""
    texts = [form.replace("{}", name) for name in names for form in forms]
    return F.normalize(encode(texts).float(), dim=-1).view(len(names), len(forms), -1).cpu()
