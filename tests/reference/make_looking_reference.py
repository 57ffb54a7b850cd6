"""Write looking_methods.json: FALIP's and Alpha-CLIP's own code on towers filled by formula.

Run from the repository root with the place of both public repositories:

    python -m tests.reference.make_looking_reference DIR

where DIR holds checkouts named FALIP and AlphaCLIP. Their activation is exchanged for the tiny
model's, and FALIP's constants for 224 pixels in patches of 16 by those for 32 in patches of 8.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from dense.methods.looking.alpha_clip import save_alpha
from tests.helpers import tiny_backbone
from tests.reference import looking_inputs as inputs

OUT = Path(__file__).with_name("looking_methods.json")


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def falip(root: Path) -> list[list[float]]:
    backbone, picture = inputs.falip_backbone(), inputs.falip_picture()
    tower = load("falip_model", root / "clip" / "model.py").VisionTransformer(32, 8, 32, 12, 2, 16)
    tower.load_state_dict(backbone.model.visual.state_dict())
    for block in tower.transformer.resblocks:
        block.mlp.gelu = torch.nn.GELU()
    source = (root / "executor.py").read_text()
    start, stop = (source.index(f"def {n}") for n in ("generate_g", "transform_box2token_large"))
    code = source[start:stop].replace("size = 224", "size = 32").replace("/16", "/8")
    code = code.replace("*14", "*4").replace("+14", "+4")
    names: dict[str, Any] = {"np": np, "torch": torch, "math": math}
    exec(code, names)
    size = types.SimpleNamespace(width=picture.shape[1], height=picture.shape[0])
    image = backbone.preprocess.to_tensor(backbone.preprocess.resize(picture, (32, 32)))[None]
    rows = []
    for box in inputs.BOXES:
        spans, bell = names["transform_box2token_base"](box, size, 0.2)
        mask = torch.zeros(17, 17)
        for number, (first, last) in enumerate(spans):
            mask[0, first:last] = bell[number]
        rows.append(F.normalize(tower(image, mask)[0], dim=-1)[0].tolist())
    return rows


def alpha(root: Path) -> list[float]:
    sys.modules["loralib"] = types.ModuleType("loralib")
    model = load("alpha_model", root / "alpha_clip" / "model.py")
    tower = model.VisionTransformer(32, 8, 32, 3, 2, 16)
    backbone = tiny_backbone()
    file = OUT.with_suffix(".safetensors")
    save_alpha(file, inputs.alpha_vit(backbone))
    tower.load_state_dict(load_file(file))
    file.unlink()
    for block in tower.transformer.resblocks:
        block.mlp.gelu = torch.nn.GELU()
    picture, mask = inputs.alpha_picture()
    image = backbone.preprocess.to_tensor(picture)[None]
    channel = (torch.from_numpy(mask).float()[None] - 0.5) / 0.26
    return F.normalize(tower(image, channel[None]), dim=-1)[0].tolist()


if __name__ == "__main__":
    with torch.inference_mode():
        place = Path(sys.argv[1])
        found = {"falip": falip(place / "FALIP"), "alpha_clip": alpha(place / "AlphaCLIP")}
    OUT.write_text(json.dumps(found) + "\n")
