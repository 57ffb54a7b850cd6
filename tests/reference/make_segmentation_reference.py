"""Write segmentation_methods.json: the authors' own code on a tower filled by formula.

Run from the repository root with the place of each method's public repository:

    python -m tests.reference.make_segmentation_reference DIR

where DIR holds checkouts named NACLIP, ResCLIP, SC-CLIP, GEM and CLIP_Surgery. ResCLIP's feedback
is cast to half precision in its code and is kept in single precision here; its first segmentation
is replaced by given labels.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from tests.reference import segmentation_inputs as given

OUT = Path(__file__).with_name("segmentation_methods.json")


@contextmanager
def repository(place: Path) -> Iterator[None]:
    """Import from a checkout, and forget its modules afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in {"pamr", "gem", "clip"}:
                del sys.modules[name]


def load(path: Path) -> ModuleType:
    """Import one file."""
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tower(module: ModuleType) -> nn.Module:
    """Their vision tower with our weights."""
    made = module.VisionTransformer(
        given.SIDE, given.PATCH, given.WIDTH, given.LAYERS, given.HEADS, given.JOINT
    )
    made.load_state_dict(given.model().visual.state_dict())
    return made.eval()


def naclip(place: Path) -> dict[str, Tensor]:
    """NACLIP's features, and PAMR."""
    with repository(place):
        visual = tower(load(place / "clip" / "model.py"))
        pamr = load(place / "pamr.py").PAMR(10, dilations=[1, 2, 4, 8])
    visual.set_params("reduced", "naclip", 5.0)
    features = [visual(image[None], return_all=True)[:, 1:] for image in given.pictures()]
    return {"naclip": torch.cat(features), "pamr": pamr(given.colours(), given.masks())}


def resclip(place: Path) -> dict[str, Tensor]:
    """ResCLIP's first pass, its links, and its second pass for given labels."""
    with repository(place):
        visual = tower(load(place / "clip" / "model.py"))
    visual.set_params("wo_resi", "resclip", 5.0)
    torch.Tensor.cuda = lambda self: self  # type: ignore[method-assign, assignment]
    torch.float16 = torch.float32  # type: ignore[misc]
    image = given.pictures()[:1]
    weights = {"attn_rcs_weights": [2.0, 0.4], "attn_sfr_weights": [1.8, 0.7]}
    first = visual(image, return_all=True, use_sfr=False, **weights)
    links = visual.generate_attention_sfr(given.labels(), given.GRID, gaussian_std=5.0)
    visual.create_logit_temp = lambda *_, **__: None
    visual.create_patch_matrix = lambda *_, **__: given.labels()
    second = visual(image, return_all=True, use_sfr=True, **weights)
    return {
        "resclip_residual": first[:, 1:],
        "resclip_links": links[:, 1:, 1:],
        "resclip_feedback": second[:, 1:],
    }


def sc_clip(place: Path) -> dict[str, Tensor]:
    """SC-CLIP's features."""
    visual = tower(load(place / "clip" / "model.py"))
    return {"sc_clip": torch.cat([visual(i[None], return_all=True) for i in given.pictures()])}


def clip_surgery(place: Path) -> dict[str, Tensor]:
    """CLIP Surgery's features, and its scores."""
    visual = tower(load(place / "clip" / "clip_surgery_model.py"))
    with repository(place):
        operate = load_function(place / "clip" / "clip.py", "clip_feature_surgery")
    features = torch.cat([visual(image[None]) for image in given.pictures()])
    unit = features / features.norm(dim=-1, keepdim=True)
    scores = torch.cat([operate(picture[None], given.texts()) for picture in unit])
    return {"clip_surgery": features[:, 1:], "clip_surgery_scores": scores[:, 1:]}


def load_function(path: Path, name: str) -> Callable[..., Tensor]:
    """One function of a file whose other imports are not needed."""
    import ast

    tree = ast.parse(path.read_text())
    chosen = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    space: dict[str, Callable[..., Tensor]] = {"torch": torch}  # type: ignore[dict-item]
    exec(compile(ast.Module(chosen, []), str(path), "exec"), space)
    return space[name]


def gem(place: Path) -> dict[str, Tensor]:
    """GEM's features; its wrapper expects attention with the sequence first."""
    with repository(place):
        package = ModuleType("gem")
        package.__path__ = [str(place / "gem")]
        sys.modules["gem"] = package
        wrapper = importlib.import_module("gem.gem_wrapper").GEMWrapper
    results = {}
    for name, iterations in (("gem", 1), ("gem_twice", 2)):
        model = given.model()
        for part in model.visual.modules():
            if isinstance(part, nn.MultiheadAttention):
                part.batch_first = False
        wrapped = wrapper(model, None, depth=7, ss_attn_iter=iterations).eval()
        results[name] = wrapped.model.visual(given.pictures())[0][:, 1:]
    return results


@torch.no_grad()
def main(root: Path) -> None:
    """Run everything and store it."""
    results = {
        **naclip(root / "NACLIP"),
        **sc_clip(root / "SC-CLIP"),
        **clip_surgery(root / "CLIP_Surgery"),
        **gem(root / "GEM"),
        **resclip(root / "ResCLIP"),
    }
    stored = {
        name: {"shape": list(x.shape), "values": [round(float(v), 6) for v in x.flatten()]}
        for name, x in results.items()
    }
    for entry in stored.values():
        entry["values"] = entry["values"][:: given.STEP]
    note = {
        "made_by": "tests/reference/make_segmentation_reference.py",
        "versions": {name: version(name) for name in ("open_clip_torch", "torch")},
        "inputs": "tests/reference/segmentation_inputs.py",
        "repositories": "sinahmr/NACLIP, SuleBai/SC-CLIP, xmed-lab/CLIP_Surgery, WalBouss/GEM, "
        "yvhangyang/ResCLIP",
        "licence": "numbers computed with the authors' code; none of the code is here",
    }
    OUT.write_text(json.dumps({"provenance": note, **stored}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
