"""What the tokens of a sentence are called, and which of them make up a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.errors import InputError

END_OF_WORD = "</w>"


@dataclass(frozen=True)
class Sentence:
    """A text as a text tower reads it.

    Attributes:
        text: As it was given.
        ids: (1, L) int64 tokens up to the end of text, start and end included.
        pieces: Names of the T tokens between start and end.
        word_of: (T,) int64 the word that each of them belongs to.
        words: W names.
    """

    text: str
    ids: Tensor
    pieces: tuple[str, ...]
    word_of: NDArray[np.int64]
    words: tuple[str, ...]

    def by_word(self, scores: NDArray[np.floating], *, mean: bool = False) -> NDArray[np.float32]:
        """Sum, or mean, (W,) of token scores (T,)."""
        total = np.bincount(self.word_of, scores, len(self.words))
        count = np.bincount(self.word_of, minlength=len(self.words)) if mean else 1
        return (total / count).astype(np.float32)


def read_sentence(backbone: CLIPBackbone, text: str) -> Sentence:
    """Tokenise a text.

    Raises:
        InputError: If it has no words, or the tokenizer does not name its tokens.
    """
    if not text.strip():
        raise InputError("there are no words to explain: expected at least one, got a blank text")
    tokenizer: Any = backbone.tokenizer
    if not hasattr(tokenizer, "decoder") or not hasattr(tokenizer, "decode"):
        raise InputError(
            f"the tokenizer of {backbone.name} does not name its tokens: words can be explained "
            "with CLIP's own tokenizer only; choose another checkpoint"
        )
    ids = tokenizer([text])[0].long()
    end = int(ids.argmax())
    inner = ids[1:end].tolist()
    words, word_of, pieces = [""], [], []
    for number in inner:
        piece = tokenizer.decode([number]).strip()
        pieces.append(piece)
        word_of.append(len(words) - 1)
        words[-1] += piece
        if tokenizer.decoder[number].endswith(END_OF_WORD):
            words.append("")
    if not words[-1]:
        words.pop()
    owners = np.array(word_of, np.int64)
    return Sentence(
        text, torch.as_tensor(ids[None, : end + 1]), tuple(pieces), owners, tuple(words)
    )
