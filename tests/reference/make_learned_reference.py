"""Write learned_methods.json: outputs of the authors' code on a tower filled by formula.

Run from the repository root, once a method, with a checkout of the authors' repository (commits
are in the file); packages that only their command lines need are replaced by empty ones:

    python -m tests.reference.make_learned_reference anomalyclip DIR

Nothing of the repositories is stored but the numbers that they compute. Their casts of prompts to
half precision are switched off, so that both sides run in fp32.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dense.backbones.preprocess import PreprocessConfig
from tests.reference import learned_inputs as made

OUT = Path(__file__).with_name("learned_methods.json")


def stub(name: str, **members: object) -> None:
    """Put an empty module in the place of one that is not needed."""
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module


def batch() -> Tensor:
    """The test pictures as a batch."""
    to_tensor = PreprocessConfig().to_tensor
    return torch.stack([to_tensor(picture) for picture in made.test_pictures()])


def stored(maps: Tensor, scores: Tensor, **losses: Tensor) -> dict[str, Any]:
    """Maps at every third pixel, scores and losses, rounded."""
    return {
        "scores": [round(float(score), 8) for score in scores],
        "maps": [
            [round(float(v), 8) for v in amap[:: made.STEP, :: made.STEP].flatten()]
            for amap in maps
        ],
        **{name: round(float(value), 8) for name, value in losses.items()},
    }


def anomalyclip() -> dict[str, Any]:
    """Prompt learner, tower with DPAM, maps, and the losses of one batch."""
    packaging = types.SimpleNamespace(version=importlib.import_module("packaging.version"))
    stub("pkg_resources", packaging=packaging)
    stub("thop", profile=None)
    library = importlib.import_module("AnomalyCLIP_lib")
    ensemble = importlib.import_module("prompt_ensemble")
    build = importlib.import_module("AnomalyCLIP_lib.build_model").build_model
    details = {
        "Prompt_length": 12,
        "learnabel_text_embedding_depth": 4,
        "learnabel_text_embedding_length": 4,
    }
    state = {k: v for k, v in made.model().state_dict().items() if k != "logit_bias"}
    clip = build("tiny", state, details)
    learner = ensemble.AnomalyCLIP_PromptLearner(clip, details)
    learner.load_state_dict(made.anomalyclip_published(), strict=False)
    clip.visual.DAPM_replace(DPAM_layer=made.PARALLEL + 1)
    layers = [layer + 1 for layer in made.LAYERS]
    with torch.no_grad():
        image, patches = clip.encode_image(batch(), layers, DPAM_layer=made.PARALLEL + 1)
        text = clip.encode_text_learn(*learner(cls_id=None))
        text = torch.stack(torch.chunk(text, dim=0, chunks=2), dim=1)[0]
        text = text / text.norm(dim=-1, keepdim=True)
        image = image / image.norm(dim=-1, keepdim=True)
        logits = image @ text.T / 0.07
        maps = []
        for patch in patches:
            unit = patch / patch.norm(dim=-1, keepdim=True)
            similarity, _ = library.compute_similarity(unit, text)
            maps.append(library.get_similarity_map(similarity[:, 1:], made.SIDE))
        both = [m.permute(0, 3, 1, 2).contiguous() for m in maps]
        last = (maps[-1][..., 1] + 1 - maps[-1][..., 0]) / 2
        four = torch.stack([(m[..., 1] + 1 - m[..., 0]) / 2 for m in maps]).mean(0)
        losses = importlib.import_module("loss")
        truth = made.masks().float()
        focal, dice = losses.FocalLoss(), losses.BinaryDiceLoss()
        labels = torch.tensor(made.LABELS)
        result = stored(
            last,
            logits.softmax(-1)[:, 1],
            loss_image=torch.nn.functional.cross_entropy(logits, labels),
            loss_focal=4 * sum(focal(m, truth) for m in both),
            loss_dice=4 * sum(dice(m[:, 1], truth) + dice(m[:, 0], 1 - truth) for m in both),
        )
    return result | {"four_layers": stored(four, logits[:, 1])["maps"]}


def outside_open_clip() -> Any:
    """The authors' own open_clip with the formula-filled weights (its tokenizer comes with it)."""
    state = made.model().state_dict()
    for name in [name for name in sys.modules if name.split(".")[0] == "open_clip"]:
        del sys.modules[name]
    package = importlib.import_module("open_clip")
    module = importlib.import_module("open_clip.model")
    clip = module.CLIP(
        made.CONFIG["embed_dim"],
        module.CLIPVisionCfg(**made.CONFIG["vision_cfg"]),
        module.CLIPTextCfg(**made.CONFIG["text_cfg"]),
        quick_gelu=True,
    )
    clip.load_state_dict(state)
    return clip.eval(), package.tokenizer.SimpleTokenizer(), package.tokenizer.tokenize


def layer_maps(features: list[Tensor], text: Tensor) -> list[Tensor]:
    """What the scripts of APRIL-GAN and CLIP-AD do with the output of their linear layers."""
    maps = []
    for feature in features:
        logits = 100.0 * feature / feature.norm(dim=-1, keepdim=True) @ text
        large = torch.nn.functional.interpolate(
            logits.permute(0, 2, 1).reshape(len(logits), 2, 6, 6),
            size=made.SIDE,
            mode="bilinear",
            align_corners=True,
        )
        maps.append(torch.softmax(large, dim=1))
    return maps


def mask_losses(maps: list[Tensor], module: str = "loss") -> dict[str, Tensor]:
    """The authors' losses of the stored masks."""
    losses = importlib.import_module(module)
    truth = made.masks().float()
    focal, dice = losses.FocalLoss(), losses.BinaryDiceLoss()
    return {
        "loss_focal": sum(focal(m, truth) for m in maps),
        "loss_dice": sum(dice(m[:, 1], truth) for m in maps),
    }


def april_gan() -> dict[str, Any]:
    """Linear layers, prompts, memories; the tower's last lines need a GPU and are not used."""
    stub("dataset", VisaDataset=None, MVTecDataset=None)
    packaging = types.SimpleNamespace(version=importlib.import_module("packaging.version"))
    stub("pkg_resources", packaging=packaging)
    clip, _, tokenize = outside_open_clip()
    layer_type = importlib.import_module("model").LinearLayer
    ensemble = importlib.import_module("prompt_ensemble")
    adapters = layer_type(128, 64, 4, "ViT")
    adapters.load_state_dict(made.april_gan_published())
    visual = clip.visual

    def run(images: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = visual.conv1(images).flatten(2).transpose(1, 2)
        head = visual.class_embedding.expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat([head, x], dim=1) + visual.positional_embedding)
        x, _, tokens = visual.transformer(x.permute(1, 0, 2), [n + 1 for n in made.LAYERS])
        return visual.ln_post(x[0]) @ visual.proj, [token.permute(1, 0, 2) for token in tokens]

    to_tensor = PreprocessConfig().to_tensor
    support = torch.stack([to_tensor(picture) for picture in made.support_pictures()])
    with torch.no_grad():
        words = ensemble.encode_text_with_prompt_ensemble(clip, [made.PRODUCT], tokenize, "cpu")
        text = words[made.PRODUCT]
        image, tokens = run(batch())
        unit = image / image.norm(dim=-1, keepdim=True)
        scores = (100.0 * unit @ text).softmax(dim=-1)[:, 1]
        remembered = [token[:, 1:].flatten(0, 1) for token in run(support)[1]]
        seen = [token[:, 1:] for token in tokens]
        maps = layer_maps(adapters(tokens), text)
        zero = torch.stack([m[:, 1] for m in maps]).sum(0)
        cosine = importlib.import_module("sklearn.metrics").pairwise.cosine_similarity
        few = zero.clone()
        for memory, token in zip(remembered, seen, strict=True):
            for row, own in enumerate(token):
                distance = (1 - cosine(memory, own)).min(0).reshape(1, 1, 6, 6)
                few[row] += torch.nn.functional.interpolate(
                    torch.tensor(distance), size=made.SIDE, mode="bilinear", align_corners=True
                )[0, 0]
        result = stored(zero, scores, **mask_losses(maps))
    return result | {"two_shot": stored(few, scores)["maps"]}


def clip_ad() -> dict[str, Any]:
    """Tower with surgery, representative vectors, SDP and SDP+ maps."""
    packaging = types.SimpleNamespace(version=importlib.import_module("packaging.version"))
    stub("pkg_resources", packaging=packaging)
    stub("matplotlib")
    stub("matplotlib.pyplot")
    clip, _, tokenize = outside_open_clip()
    surgery = importlib.import_module("util.surgery")
    ensemble = importlib.import_module("util.prompt_ensemble")
    adapters = importlib.import_module("models.model").LinearLayer(128, 64, 4)
    adapters.load_state_dict(made.april_gan_published())
    result: dict[str, Any] = {"texts": {}}
    torch.float16 = torch.float32  # type: ignore[misc]
    with torch.no_grad():
        for name in ("mean", "pca", "kde", "dbscan", "mean_shift"):
            words = ensemble.encode_text_with_prompt_ensemble(
                clip, [made.PRODUCT], tokenize, "cpu", "mvtec", name
            )
            rows = words[made.PRODUCT].float()
            result["texts"][name] = [[round(float(v), 8) for v in row] for row in rows.T]
        text = torch.tensor(result["texts"]["mean"]).T.expand(3, -1, -1)
        seen = clip.visual(batch(), [layer + 1 for layer in made.LAYERS])
        units = [f / f.norm(dim=-1, keepdim=True) for f in seen["surgery"]]
        similarity = surgery.clip_feature_surgery(units, text)
        large = surgery.get_similarity_map(similarity[:, 1:], (made.SIDE, made.SIDE), False)
        scores = (100.0 * units[-1] @ text)[:, 0].softmax(dim=-1)[:, 1]
        maps = layer_maps(adapters(list(seen["ori"])), text[0])
        plus = large[..., 1] + torch.stack([m[:, 1] for m in maps]).sum(0)
        result |= stored(large[..., 1], scores, **mask_losses(maps, "util.losses"))
        result["plus"] = stored(plus, scores)["maps"]
    return result


def adaclip() -> dict[str, Any]:
    """Everything, one picture at a time, with one cluster: its k-means is not seeded."""
    packaging = types.SimpleNamespace(version=importlib.import_module("packaging.version"))
    stub("pkg_resources", packaging=packaging)
    stub("method", __path__=[f"{sys.argv[2]}/method"])
    module = importlib.import_module("method.clip_model")
    clip = module.CLIP(
        made.CONFIG["embed_dim"],
        module.CLIPVisionCfg(**made.CONFIG["vision_cfg"]),
        module.CLIPTextCfg(**made.CONFIG["text_cfg"]),
        quick_gelu=True,
    )
    clip.load_state_dict(made.model().state_dict())
    model = importlib.import_module("method.adaclip").AdaCLIP(
        freeze_clip=clip.eval(),
        text_channel=64,
        visual_channel=128,
        prompting_length=5,
        prompting_depth=3,
        prompting_branch="VL",
        prompting_type="SD",
        use_hsf=True,
        k_clusters=1,
        output_layers=[layer + 1 for layer in made.LAYERS],
        device="cpu",
        image_size=made.SIDE,
    )
    names = {k.removeprefix("clip_model."): v for k, v in made.adaclip_published().items()}
    lost = model.load_state_dict(names, strict=False)
    if lost.unexpected_keys:
        raise SystemExit(f"unexpected keys: {lost.unexpected_keys}")
    losses = importlib.import_module("loss")
    focal, dice = losses.FocalLoss(), losses.BinaryDiceLoss()
    maps, scores, sums = [], [], torch.zeros(3)
    truth, labels = made.masks().float(), torch.tensor(made.LABELS)
    with torch.no_grad():
        for number, image in enumerate(batch().split(1)):
            amap, score = model(image, [made.PRODUCT], aggregation=True)
            maps.append(amap[0])
            scores.append(score[0])
            layers, both = model(image, [made.PRODUCT], aggregation=False)
            own = truth[number : number + 1]
            sums += torch.stack(
                [
                    focal(both, labels[number].view(1, 1)),
                    sum(focal(m, own) for m in layers),
                    sum(dice(m[:, 1], own) + dice(m[:, 0], 1 - own) for m in layers),
                ]
            )
    image, mask, overlap = sums / 3
    return stored(
        torch.stack(maps),
        torch.stack(scores),
        loss_image=image,
        loss_focal=mask,
        loss_dice=overlap,
    )


MAKERS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "anomalyclip": ("zqhang/AnomalyCLIP (MIT)", anomalyclip),
    "april-gan": ("ByChelsea/VAND-APRIL-GAN (MIT)", april_gan),
    "clip-ad": ("ByChelsea/CLIP-AD (no licence: run, not copied)", clip_ad),
    "adaclip": ("caoyunkang/AdaCLIP (MIT)", adaclip),
}


def main() -> None:
    """Run one method and put its numbers into the file."""
    name, repository = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, str(repository))
    torch.Tensor.half = lambda self, *a, **k: self  # type: ignore[method-assign,assignment]
    source, make = MAKERS[name]
    content = json.loads(OUT.read_text()) if OUT.is_file() else {}
    note = {
        "made_by": "tests/reference/make_learned_reference.py",
        "source": source,
        "commit": sys.argv[3] if len(sys.argv) > 3 else "not given",
        "versions": {package: version(package) for package in ("open_clip_torch", "torch")},
        "inputs": "tests/reference/learned_inputs.py",
    }
    content[name] = {"provenance": note, **make()}
    OUT.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
