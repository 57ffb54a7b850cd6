"""Write provided_methods.json: the authors' own code on a tower filled by formula.

Run from the repository root with the place of each method's public repository:

    python -m tests.reference.make_provided_reference DIR

where DIR holds checkouts named ProxyCLIP, Trident, CorrCLIP, cliper.code, clip_prs and
clip_dinoiser. What their second networks would say is given by formula.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.reference import provided_inputs as outside
from tests.reference import segmentation_inputs as given

OUT = Path(__file__).with_name("provided_methods.json")
SHAPE = (given.SIDE, given.PATCH, given.WIDTH, given.LAYERS, given.HEADS)


class Anything(ModuleType):
    """Stands in for packages of which nothing is used: every name is a decorator factory."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name)

    def __call__(self, *_: object, **__: object) -> object:
        return lambda cls: cls


def from_checkout(place: Path, module: str, *stand_ins: str) -> ModuleType:
    """Import a module of a checkout; packages it does not need are stood in for."""
    top = module.partition(".")[0]
    for name in [m for m in sys.modules if m.partition(".")[0] == top]:
        del sys.modules[name]
    for name in stand_ins:
        sys.modules[name] = Anything(name)
    sys.path.insert(0, str(place))
    try:
        return import_module(module)
    finally:
        sys.path.remove(str(place))
        for name in stand_ins:
            del sys.modules[name]
        for name in [m for m in sys.modules if m.partition(".")[0] == top]:
            del sys.modules[name]


def weights() -> dict[str, Tensor]:
    return given.model().visual.state_dict()


def tower(module: ModuleType) -> nn.Module:
    """Their copy of open_clip's tower with our weights."""
    quick = module.QuickGELU
    made = module.VisionTransformer(*SHAPE, mlp_ratio=4.0, output_dim=given.JOINT, act_layer=quick)
    made.load_state_dict(weights())
    return made.eval()


def proxyclip(place: Path) -> dict[str, Tensor]:
    visual = tower(from_checkout(place, "open_clip.transformer"))
    features = outside.view(2, outside.FINE, 1.3).features
    rows = [
        visual(image[None], ex_feats=feature[None])
        for image, feature in zip(given.pictures(), features, strict=True)
    ]
    return {"proxyclip": torch.cat(rows)}


def trident(place: Path) -> dict[str, Tensor]:
    visual = tower(from_checkout(place, "open_clip.transformer"))
    picture, sam = outside.wide_picture(), outside.view(1, outside.WHOLE, 0.9)
    parts = torch.cat([picture[..., :48], picture[..., 16:]])
    attention = torch.stack([sam.attention(head) for head in range(2)], 1)
    places = [torch.tensor([0, 0, 6, 6]), torch.tensor([0, 2, 6, 8])]
    return {
        "trident": visual(
            parts,
            ex_feats=outside.windows().features,
            dst_coords=places,
            win_sizes=(1, 2),
            dst_vh=6,
            dst_vw=8,
            sam_attn=attention,
            sam_v=sam.values.unflatten(2, outside.WHOLE),
            cos_fac=1.2,
            vfm_token_size=given.GRID,
        )
    }


def corrclip(place: Path) -> dict[str, Tensor]:
    visual = tower(from_checkout(place / "CorrCLIPv1", "open_clip.transformer"))
    view = outside.view(1, outside.FINE, 1.3)
    alike = F.normalize(view.as_map(view.queries + view.keys).flatten(2).transpose(1, 2), dim=-1)
    masks = outside.regions()[None, None] + 1
    return {"corrclip": visual(given.pictures()[:1], alike, outside.FINE, masks)}


def cliper(place: Path) -> dict[str, Tensor]:
    torch.Tensor.half = lambda self: self  # type: ignore[method-assign, assignment]
    made = from_checkout(place, "modified_clip.model", "clip").CLIPer
    model = given.model()
    for part in model.visual.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.batch_first = False
    self = made.__new__(made)
    nn.Module.__init__(self)
    self.cfg = Namespace(sliding_crop_size=0, attention_thr=0.2)
    self.attn_type, self.fuse_feature, self.select_layer = "fused-attn", True, -1
    self.model, self.patch_size, self.layers = model, given.PATCH, given.LAYERS
    self.logit_scale, self.device = torch.tensor(50.0), "cpu"
    self.modify()
    none = torch.zeros(0, given.JOINT)
    parts = [self(image[None], given.texts(), none) for image in given.pictures()]
    return {"cliper": torch.stack([part["seg"] for part in parts])}


def head_decomposition(place: Path) -> dict[str, Tensor]:
    module = from_checkout(place, "utils.transformer")
    hooks = from_checkout(place, "utils.hook")
    logger = from_checkout(place, "prs_hook")
    manager = hooks.HookManager()
    model = nn.Module()
    model.visual = module.VisionTransformer(
        *SHAPE,
        mlp_ratio=4.0,
        output_dim=given.JOINT,
        act_layer=module.QuickGELU,
        hook=manager.fork("visual"),
    )
    model.visual.load_state_dict(weights())
    model.eval().hook_manager = manager
    prs = logger.hook_prs_logger(model, "cpu")
    whole = model.visual(given.pictures(), attn_method="head")
    found, _ = prs.finalize(whole)
    return {"head_decomposition": found[:, :, 1:].sum((1, 3)) @ given.texts().T}


def clip_dinoiser(place: Path) -> dict[str, Tensor]:
    names = ("mmseg", "mmseg.ops", "omegaconf", "models.builder")
    file = place / "models" / "clip_dinoiser"
    for name in ("models",):
        sys.modules.pop(name, None)
    made = from_checkout(file, "clip_dinoiser", *names).CLIP_DINOiser
    visual, parts = given.model().visual, outside.convolutions()
    self = made.__new__(made)
    nn.Module.__init__(self)
    self.feats_idx, self.in_dim, self.vit_patch_size, self.train_feats = -3, outside.CONV, 8, {}
    self.obj_proj = nn.Conv2d(given.WIDTH, outside.CONV, 3, padding=1, padding_mode="replicate")
    self.bkg_decoder = nn.Conv2d(given.WIDTH, 1, 1)
    for own, layer in (("correlation", self.obj_proj), ("foreground", self.bkg_decoder)):
        layer.load_state_dict({k: parts[f"{own}.{k}"] for k in ("weight", "bias")})
    visual.transformer.resblocks[-3].ln_2.register_forward_hook(
        lambda _m, _i, out: self.train_feats.update(clip_inter=out.detach())
    )
    visual(given.pictures())
    from dense.backbones import DenseViT, last_block

    features = DenseViT(visual).eval()(given.pictures(), last_block("value")).dense
    self.get_clip_features = lambda x: (features, None)
    ground, corrs, output = self.forward_pass(given.pictures())
    corrs[corrs < outside.CORR] = 0.0
    return {
        "clip_dinoiser": self.compute_weighted_pool(output, corrs),
        "clip_dinoiser_foreground": ground,
    }


@torch.no_grad()
def main(root: Path) -> None:
    """Run everything and store it."""
    results = {
        **proxyclip(root / "ProxyCLIP"),
        **trident(root / "Trident"),
        **corrclip(root / "CorrCLIP"),
        **head_decomposition(root / "clip_prs"),
        **clip_dinoiser(root / "clip_dinoiser"),
        **cliper(root / "cliper.code"),
    }
    stored = {
        name: {
            "shape": list(x.shape),
            "values": [round(float(v), 6) for v in x.flatten()][:: given.STEP],
        }
        for name, x in results.items()
    }
    note = {
        "made_by": "tests/reference/make_provided_reference.py",
        "versions": {name: version(name) for name in ("open_clip_torch", "torch")},
        "inputs": "tests/reference/provided_inputs.py, tests/reference/segmentation_inputs.py",
        "repositories": "mc-lan/ProxyCLIP, YuHengsss/Trident, zdk258/CorrCLIP, "
        "linsun449/cliper.code, yossigandelsman/clip_prs, wysoczanska/clip_dinoiser",
        "licence": "numbers computed with the authors' code; none of the code is here",
    }
    OUT.write_text(json.dumps({"provenance": note, **stored}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
