"""What second networks say, against the libraries' own forward; names, files and refusals."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling.image_encoder import add_decomposed_rel_pos
from torch.nn import functional as F

from dense.backbones.preprocess import OPENAI_MEAN, OPENAI_STD, PreprocessConfig
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError, MissingDependencyError
from dense.methods.segmentation.provided import tiled
from dense.providers import find_provider, find_regions
from dense.providers import sam as sam_module
from dense.providers import vit as vit_module
from dense.providers.base import cosine, unnormalised
from dense.providers.clip import OwnBlocks
from dense.providers.regions import OUTSIDE, SamRegions, region_map
from dense.providers.sam import SamProvider
from dense.providers.vit import TimmProvider
from tests.backbones.builders import images, tiny_vit
from tests.helpers import tiny_backbone
from tests.providers.tiny import tiny_network, tiny_sam

PLAIN = PreprocessConfig()


@pytest.fixture(scope="module")
def vit() -> DenseViT:
    return tiny_vit()[1]


@pytest.fixture(scope="module")
def trace(vit: DenseViT) -> Trace:
    with torch.no_grad():
        return vit.trace(images(32, 48))


def shown(trace: Trace, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """The pictures in another normalisation, in independent lines."""
    assert trace.images is not None
    rows = []
    for channel in range(3):
        pixel = trace.images[:, channel] * OPENAI_STD[channel] + OPENAI_MEAN[channel]
        rows.append((pixel - mean[channel]) / std[channel])
    return torch.stack(rows, 1)


# --- networks of timm ----------------------------------------------------------------------------


@pytest.mark.parametrize("registers", [0, 2])
def test_features_are_timms_own(vit: DenseViT, trace: Trace, registers: int) -> None:
    network = tiny_network(registers=registers)
    view = TimmProvider("tiny", network, PLAIN).look(vit, trace)
    cfg = network.pretrained_cfg
    with torch.no_grad():
        tokens = network.forward_features(shown(trace, cfg["mean"], cfg["std"]))
    patches = tokens[:, 1 + registers :].transpose(1, 2).unflatten(2, (8, 12))
    torch.testing.assert_close(view.features, patches, atol=1e-5, rtol=1e-5)
    assert (view.grid, view.heads, len(view.inside)) == ((8, 12), 2, 96)


def test_attention_is_the_last_blocks(vit: DenseViT, trace: Trace) -> None:
    network, seen = tiny_network(), {}
    block = network.blocks[-1]
    handle = block.attn.qkv.register_forward_hook(lambda _m, _i, out: seen.update(qkv=out))
    view = TimmProvider("tiny", network, PLAIN).look(vit, trace)
    handle.remove()
    q, k, _ = seen["qkv"].unflatten(2, (3, 2, 16)).permute(2, 0, 3, 1, 4)
    expected = (q @ k.transpose(2, 3) / 4).softmax(-1)[:, :, 1:, 1:]
    for head in range(2):
        torch.testing.assert_close(view.attention(head), expected[:, head])
    assert (view.attention(0).sum(-1) < 1).all()  # the class token takes its share
    merged = view.as_map(view.keys)
    torch.testing.assert_close(merged[:, :16, 0, 1], view.keys[:, 0, 2])


def test_pictures_are_resized_so_that_patches_tile(vit: DenseViT, trace: Trace) -> None:
    for patch, grid in ((4, (8, 12)), (8, (4, 6)), (7, (4, 6)), (3, (12, 18))):
        network = tiny_network(patch)
        view = TimmProvider("tiny", network, PLAIN).look(vit, trace)
        assert view.grid == grid == tiled(view.grid, trace.layout.grid)
    assert tiled((15, 22), (4, 6)) == (16, 24)


def test_weights_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    monkeypatch.setattr(vit_module.timm, "is_model", lambda name: name == "tiny")
    monkeypatch.setattr(vit_module.timm, "create_model", lambda *_, **__: tiny_network())
    state = {k: v + 0.5 for k, v in network.state_dict().items()}
    with_head = {**state, "head.weight": torch.zeros(3, 32)}
    save_file(with_head, tmp_path / "w.safetensors")
    torch.save(with_head, tmp_path / "w.pth")
    for file in ("w.safetensors", "w.pth"):
        provider = find_provider("timm:tiny", tiny_backbone(), str(tmp_path / file))
        assert provider.name == f"timm:tiny ({file})"
        assert isinstance(provider, TimmProvider)
        assert torch.equal(provider.model.norm.weight, state["norm.weight"])
    torch.save({"norm.weight": torch.zeros(32)}, tmp_path / "other.pth")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(print))
    (tmp_path / "broken.safetensors").write_bytes(b"1234")
    torch.save({"a": 1}, tmp_path / "number.pth")
    for file, message in (
        ("gone.pth", "no such checkpoint"),
        ("other.pth", "does not fit the network"),
        ("code.pth", "refused .*could run code|corrupt"),
        ("broken.safetensors", "corrupt safetensors file"),
        ("number.pth", "not a state dict"),
    ):
        with pytest.raises(InputError, match=message):
            find_provider("timm:tiny", tiny_backbone(), str(tmp_path / file))


def test_networks_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(vit_module.timm, "create_model", offline)
    with pytest.raises(InputError, match=r"cannot get vit_base_patch8_224.dino .*provider_weights"):
        find_provider("dino-b8", tiny_backbone())
    with pytest.raises(InputError, match=r"timm has no model 'vit_bass'; known short names are"):
        find_provider("timm:vit_bass", tiny_backbone())
    with pytest.raises(InputError, match=r"unknown provider 'dino-b9'.*dino-b8"):
        find_provider("dino-b9", tiny_backbone())
    monkeypatch.setattr(vit_module.timm, "create_model", lambda *_, **__: torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="not a plain Vision Transformer"):
        find_provider("timm:resnet18", tiny_backbone())


# --- SAM -----------------------------------------------------------------------------------------


def test_sam_features_and_attention_are_its_own(vit: DenseViT, trace: Trace) -> None:
    """A 32 × 48 picture becomes 43 × 64 on the 64 × 64 canvas: 5 × 8 patches of it count."""
    network = tiny_sam()
    view = SamProvider("tiny", network, PLAIN).look(vit, trace)
    assert (view.grid, view.heads) == ((5, 8), 2)
    mean, std = ([v / 255 for v in values] for values in (sam_module.MEAN, sam_module.STD))
    picture = F.interpolate(shown(trace, mean, std), (43, 64), mode="bilinear", antialias=True)
    encoder, seen = network.image_encoder, {}
    attention = encoder.blocks[-1].attn
    handle = attention.qkv.register_forward_hook(lambda _m, _i, out: seen.update(qkv=out))
    with torch.no_grad():
        features = encoder(F.pad(picture, (0, 0, 0, 21)))
    handle.remove()
    torch.testing.assert_close(view.features, features[..., :5, :], atol=1e-5, rtol=1e-5)
    q, k, _ = seen["qkv"].flatten(1, 2).unflatten(2, (3, 2, 16)).permute(2, 0, 3, 1, 4)
    q, k = q.flatten(0, 1), k.flatten(0, 1)
    with torch.no_grad():
        logits = add_decomposed_rel_pos(
            q @ k.transpose(1, 2) / 4, q, attention.rel_pos_h, attention.rel_pos_w, (8, 8), (8, 8)
        )
    expected = logits.softmax(-1).unflatten(0, (2, 2))[:, :, :40, :40]
    for head in range(2):
        torch.testing.assert_close(view.attention(head), expected[:, head], atol=1e-6, rtol=1e-4)


def test_sam_wants_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="sam-b needs SAM's own checkpoint"):
        find_provider("sam-b", tiny_backbone())
    import segment_anything

    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_sam)
    monkeypatch.setitem(sam_module.WIDTHS, 32, "sam-b")
    state = {k: v + 0.5 for k, v in tiny_sam().state_dict().items()}
    torch.save(state, tmp_path / "sam.pth")
    provider = find_provider("sam-b", tiny_backbone(), str(tmp_path / "sam.pth"))
    assert isinstance(provider, SamProvider) and provider.name == "sam-b (sam.pth)"
    key = "image_encoder.neck.0.weight"
    assert torch.equal(provider.model.state_dict()[key], state[key])
    for content, name, message in (
        ({"a": torch.zeros(1)}, "sam-b", r"other.pth is not a checkpoint of segment-anything"),
        ({**state, key: state[key][:1]}, "sam-b", r"is not a checkpoint of sam-b: .*another shape"),
        (state, "sam-l", r"is a checkpoint of sam-b \(vit_b\), not of sam-l"),
    ):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(InputError, match=message):
            find_provider(name, tiny_backbone(), str(tmp_path / "other.pth"))
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(MissingDependencyError, match="pip install segment-anything"):
        find_provider("sam-b", tiny_backbone(), str(tmp_path / "sam.pth"))


def test_stable_diffusion_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from dense.providers import find

    monkeypatch.setattr(find, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install diffusers"):
        find_provider("stable-diffusion", tiny_backbone())
    monkeypatch.setattr(find, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="not built in yet"):
        find_provider("stable-diffusion", tiny_backbone())


# --- CLIP's own blocks, regions ------------------------------------------------------------------


def test_own_blocks(vit: DenseViT, trace: Trace) -> None:
    """Two of three blocks have run; features have no mean, and need no pictures."""
    with torch.no_grad():
        view = OwnBlocks().look(vit, Trace(trace.entering, trace.layout))
    patches = trace.patches(2)
    torch.testing.assert_close(
        view.features.flatten(2).transpose(1, 2), patches - patches.mean(1, keepdim=True)
    )
    assert view.grid == trace.layout.grid and view.position is None
    similarity = cosine(view.features)
    assert similarity.diagonal(dim1=1, dim2=2).sub(1).abs().max() < 1e-5
    assert similarity.mean().abs() < 0.1


def test_a_network_of_its_own_needs_the_pictures(vit: DenseViT, trace: Trace) -> None:
    bare = Trace(trace.entering, trace.layout)
    with pytest.raises(InputError, match=r"make it with DenseViT\.trace"):
        TimmProvider("tiny", tiny_network(), PLAIN).look(vit, bare)


def test_superpixels_cover_the_picture(trace: Trace) -> None:
    regions = find_regions("superpixels", tiny_backbone())
    found = regions.look(trace)
    assert [part.shape for part in found] == [(32, 48), (32, 48)]
    assert all(part.min() == 0 and part.max() >= 1 for part in found)
    assert torch.equal(found[1], regions.find(unnormalised(trace, PLAIN)[1]))


def test_larger_masks_lie_on_top() -> None:
    small, large = torch.zeros(2, 4, 4, dtype=torch.bool)
    small[1:3, 1:3] = True
    large[2:] = True
    masks = [{"segmentation": large.numpy(), "area": 8}, {"segmentation": small.numpy(), "area": 4}]
    painted = region_map(masks, (4, 4))
    assert painted[1].tolist() == [OUTSIDE, 0, 0, OUTSIDE]
    assert painted[2].tolist() == [1, 1, 1, 1]
    assert (region_map([], (2, 2)) == OUTSIDE).all()


def test_masks_of_sam() -> None:
    regions = SamRegions("tiny", PLAIN, tiny_sam(), points=2, quality=-1.0)
    found = regions.find(torch.rand(3, 32, 48))
    assert found.shape == (32, 48) and found.dtype == torch.int64 and found.max() >= 0


def test_unknown_regions() -> None:
    with pytest.raises(InputError, match=r"unknown source of regions 'superpixel'.*superpixels"):
        find_regions("superpixel", tiny_backbone())
    with pytest.raises(InputError, match="regions_weights"):
        find_regions("sam-b", tiny_backbone())
