"""A first token table for a text tower: what the teacher already knows of each word piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import open_clip
import torch
from torch import Tensor

from dense.errors import InputError


def token_strings(tokenizer: open_clip.SimpleTokenizer) -> list[str]:
    """What each token of CLIP's tokenizer says; empty for the two special ones."""
    decode = tokenizer.byte_decoder
    rows = []
    for index in range(tokenizer.vocab_size):
        piece = tokenizer.decoder[index].removesuffix("</w>")
        special = piece in ("<start_of_text>", "<end_of_text>")
        data = bytearray() if special else bytearray(decode[c] for c in piece if c in decode)
        rows.append(data.decode("utf-8", "ignore"))
    return rows


def token_table(
    strings: Sequence[str],
    encode: Callable[[Sequence[str]], Tensor],
    pieces: Callable[[Sequence[str]], Tensor],
    *,
    width: int,
    shallow: int = 96,
    std: float = 0.05,
) -> Tensor:
    """Initialise a token table from a sentence teacher by principal components.

    A part of each row comes from the teacher's input table (how a piece is spelled and used), the
    rest from its output for the piece alone (what it means).

    Args:
        strings: From `token_strings`.
        encode: Texts → (P, D) embeddings in the joint space.
        pieces: Texts → (P, E) mean rows of the teacher's input table.
        width: Columns of the table.
        shallow: Columns that come from the input table.
        std: Standard deviation of the entries.

    Returns:
        (V, width).

    Raises:
        InputError: If `shallow` does not fit the width.
    """
    if not 0 < shallow < width:
        raise InputError(f"shallow must be between 1 and {width - 1}, got {shallow}")
    spelled = pieces([s or "[UNK]" for s in strings])
    meant = encode([s or "." for s in strings])
    first = _principal(spelled, shallow)
    second = _principal(meant, width - shallow) * (spelled.std() / meant.std())
    table = torch.cat([first, second], dim=1)
    return table / table.std() * std


def _principal(rows: Tensor, count: int) -> Tensor:
    centred = rows - rows.mean(0)
    vectors = torch.linalg.eigh(centred.T @ centred / len(centred)).eigenvectors
    if count > vectors.shape[1]:
        raise InputError(f"only {vectors.shape[1]} components exist, asked for {count}")
    return centred @ vectors[:, -count:]
