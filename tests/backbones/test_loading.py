"""Every checkpoint layout loads to the same features; bad ones are refused with one sentence."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dense.backbones import available, load, loading
from dense.backbones.hf_layout import convert_config
from dense.backbones.packing import SCALE_SUFFIX, pack, unpack
from dense.backbones.weights import infer_config, read_checkpoint
from dense.errors import InputError
from tests.backbones.builders import build, images

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"layers": 2, "width": 64, "patch_size": 8, "image_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build(CONFIG)


@pytest.fixture(scope="module")
def state(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def assert_same(path: str | Path, model: nn.Module, atol: float = 1e-5) -> None:
    backbone = load(str(path))
    batch = images(32, 32)
    with torch.inference_mode():
        expected = model.encode_image(batch)
        torch.testing.assert_close(backbone.vit(batch).class_token, expected, atol=atol, rtol=0)
        words = backbone.tokenizer(["a cat", "a wooden table"])
        expected = nn.functional.normalize(model.encode_text(words), dim=-1)
        got = backbone.encode_text(["a cat", "a wooden table"])
        torch.testing.assert_close(got, expected, atol=atol, rtol=0)
    assert backbone.logit_scale == pytest.approx(float(model.logit_scale.exp()), rel=1e-4)


# --- layouts -------------------------------------------------------------------------------------


def test_plain_safetensors(tmp_path: Path, model: nn.Module, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "clip.safetensors")
    assert_same(tmp_path / "clip.safetensors", model)


@pytest.mark.parametrize("wrapped", [True, False], ids=["state_dict", "bare"])
def test_open_clip_training_checkpoint(
    tmp_path: Path, model: nn.Module, state: dict[str, Tensor], wrapped: bool
) -> None:
    prefixed = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": prefixed} if wrapped else prefixed, tmp_path / "a.pt")
    assert_same(tmp_path / "a.pt", model)


def test_open_clip_directory(tmp_path: Path, model: nn.Module, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"}
    config = {"model_cfg": CONFIG, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert_same(tmp_path, model)
    loaded = load(str(tmp_path)).preprocess
    assert loaded.mean == (0.5, 0.5, 0.5)
    assert loaded.interpolation == "bilinear"


class _Holder(nn.Module):
    """A module whose TorchScript archive holds tensors under open_clip's names."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def _holder(state: dict[str, Tensor]) -> nn.Module:
    root = _Holder()
    for name, value in state.items():
        *path, leaf = name.split(".")
        node = root
        for part in path:
            if not hasattr(node, part):
                node.add_module(part, _Holder())
            node = getattr(node, part)
        node.register_buffer(leaf, value)
    return root


def test_openai_archive(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """fp16 weights, three scalars beside them, and QuickGELU."""
    half = {key: value.half() for key, value in state.items()}
    extra = {"input_resolution": 32, "context_length": 77, "vocab_size": 49408}
    scalars = {key: torch.tensor(value) for key, value in extra.items()}
    torch.jit.script(_holder({**half, **scalars})).save(str(tmp_path / "ViT.pt"))
    quick = build({**CONFIG, "quick_gelu": True})
    quick.load_state_dict({key: value.float() for key, value in half.items()})
    assert_same(tmp_path / "ViT.pt", quick)


def test_openai_archive_as_weights_of_a_name(
    tmp_path: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """QuickGELU follows the archive even where the architecture's name says GELU."""
    torch.jit.script(_holder(state)).save(str(tmp_path / "ViT.pt"))
    monkeypatch.setattr(loading.open_clip, "list_models", lambda: ["tiny"])
    monkeypatch.setattr(loading.open_clip, "get_model_config", lambda _: CONFIG)
    backbone = load("tiny", pretrained=str(tmp_path / "ViT.pt"))
    quick = build({**CONFIG, "quick_gelu": True})
    batch = images(32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            backbone.vit(batch).class_token, quick.encode_image(batch), atol=1e-5, rtol=0
        )
    assert "quick_gelu" not in CONFIG


def _hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """open_clip names → `CLIPModel` names, written down independently of the package."""
    out = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    norms = {"pre_layrnorm": "visual.ln_pre", "post_layernorm": "visual.ln_post"}
    for kind in ("weight", "bias"):
        for theirs, ours in norms.items():
            out[f"vision_model.{theirs}.{kind}"] = state[f"{ours}.{kind}"]
        out[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        for tower, prefix in (("vision", "visual."), ("text", "")):
            for index in range(2):
                new = f"{tower}_model.encoder.layers.{index}"
                old = f"{prefix}transformer.resblocks.{index}"
                stacked = state[f"{old}.attn.in_proj_{kind}"].chunk(3)
                for part, value in zip("qkv", stacked, strict=True):
                    out[f"{new}.self_attn.{part}_proj.{kind}"] = value.contiguous()
                out[f"{new}.self_attn.out_proj.{kind}"] = state[f"{old}.attn.out_proj.{kind}"]
                out[f"{new}.layer_norm1.{kind}"] = state[f"{old}.ln_1.{kind}"]
                out[f"{new}.layer_norm2.{kind}"] = state[f"{old}.ln_2.{kind}"]
                out[f"{new}.mlp.fc1.{kind}"] = state[f"{old}.mlp.c_fc.{kind}"]
                out[f"{new}.mlp.fc2.{kind}"] = state[f"{old}.mlp.c_proj.{kind}"]
    return out


HF_CONFIG = {
    "model_type": "clip",
    "projection_dim": 16,
    "vision_config": {
        "hidden_size": 64,
        "num_attention_heads": 1,
        "num_hidden_layers": 2,
        "intermediate_size": 256,
        "patch_size": 8,
        "image_size": 32,
        "hidden_act": "gelu",
    },
    "text_config": {
        "hidden_size": 64,
        "num_attention_heads": 1,
        "num_hidden_layers": 2,
        "intermediate_size": 256,
        "max_position_embeddings": 77,
        "vocab_size": 49408,
    },
}


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_hugging_face_directory(
    tmp_path: Path, model: nn.Module, state: dict[str, Tensor], kind: str
) -> None:
    renamed = _hugging_face(state)
    if kind.endswith(".bin"):
        torch.save(renamed, tmp_path / kind)
    else:
        save_file(renamed, tmp_path / kind)
    (tmp_path / "config.json").write_text(json.dumps(HF_CONFIG))
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1], "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    assert_same(tmp_path, model)
    assert load(str(tmp_path)).preprocess.mean == (0.1, 0.2, 0.3)
    assert load(str(tmp_path)).preprocess.interpolation == "bilinear"


def test_hugging_face_activation_follows_its_config() -> None:
    vision = {**HF_CONFIG["vision_config"], "hidden_act": "quick_gelu"}
    assert convert_config({**HF_CONFIG, "vision_config": vision})["quick_gelu"] is True
    assert convert_config(HF_CONFIG)["quick_gelu"] is False


def test_architecture_is_read_off_the_shapes() -> None:
    config = {
        **CONFIG,
        "vision_cfg": {
            **CONFIG["vision_cfg"],
            "no_ln_pre": True,
            "ls_init_value": 0.1,
            "mlp_ratio": 2.0,
        },
    }
    inferred = infer_config(build(config).state_dict(), quick_gelu=False)
    vision = inferred["vision_cfg"]
    assert (vision["layers"], vision["width"]) == (2, 64)
    assert (vision["patch_size"], vision["image_size"]) == (8, 32)
    assert vision["no_ln_pre"]
    assert vision["ls_init_value"]
    assert vision["mlp_ratio"] == 2.0
    assert inferred["text_cfg"] == CONFIG["text_cfg"]


# --- packing -------------------------------------------------------------------------------------


def test_packed_rows_are_within_half_a_step(state: dict[str, Tensor]) -> None:
    packed = pack(state)
    restored = unpack(packed)
    assert set(restored) == set(state)
    for name, value in state.items():
        if name + SCALE_SUFFIX in packed:
            assert packed[name].dtype == torch.int8
            step = value.flatten(1).abs().amax(1) / 127
            error = (restored[name] - value).flatten(1).abs().amax(1)
            assert (error <= step / 2 * 1.001).all(), name
        else:
            torch.testing.assert_close(restored[name], value, atol=1e-6, rtol=1e-3)
    assert packed["visual.conv1.weight"].dtype == torch.int8
    assert packed["visual.positional_embedding"].dtype == torch.float16
    stored = sum(v.numel() * v.element_size() for v in packed.values())
    assert stored < 0.3 * sum(v.numel() * v.element_size() for v in state.values())


def test_packing_twice_changes_nothing(state: dict[str, Tensor]) -> None:
    once = unpack(pack(state))
    twice = unpack(pack(once))
    for name, value in once.items():
        torch.testing.assert_close(twice[name], value, atol=1e-6, rtol=1e-6)


def test_zero_rows_survive_packing() -> None:
    value = torch.zeros(3, 4)
    value[1] = torch.tensor([1.0, -2.0, 0.5, 2.0])
    restored = unpack(pack({"w": value}))["w"]
    assert torch.equal(restored[0], value[0])
    assert restored[1].tolist() == pytest.approx(value[1].tolist(), abs=2 / 127 / 2)


def test_packed_file_loads_by_itself(
    tmp_path: Path, model: nn.Module, state: dict[str, Tensor]
) -> None:
    notes = {
        "model_cfg": json.dumps(CONFIG),
        "preprocess_cfg": json.dumps({"mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}),
        "licence": "Apache-2.0",
    }
    save_file(pack(state), tmp_path / "packed.safetensors", notes)
    backbone = load(str(tmp_path / "packed.safetensors"))
    assert backbone.preprocess.std == (0.2, 0.2, 0.2)
    notes = read_checkpoint(tmp_path / "packed.safetensors").notes
    assert notes == {"licence": "Apache-2.0"}
    batch = images(32, 32)
    with torch.inference_mode():
        expected, got = model.encode_image(batch), backbone.vit(batch).class_token
    assert nn.functional.cosine_similarity(got, expected).min() > 0.995


# --- names and settings --------------------------------------------------------------------------


def test_precision_is_applied(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "clip.safetensors")
    backbone = load(str(tmp_path / "clip.safetensors"), precision="bf16")
    assert backbone.dtype == torch.bfloat16
    assert backbone.vit(images(32, 32).bfloat16()).dense.dtype == torch.bfloat16
    assert backbone.encode_text(["a cat"]).dtype == torch.float32
    assert not backbone.training


def test_fingerprint_tells_weights_apart(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    changed = {**state, "visual.proj": state["visual.proj"] + 1e-3}
    save_file(changed, tmp_path / "b.safetensors")
    first, again = load(str(tmp_path / "a.safetensors")), load(str(tmp_path / "a.safetensors"))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != load(str(tmp_path / "b.safetensors")).fingerprint


def test_available_lists_only_vision_transformers() -> None:
    names = {info.name for info in available()}
    assert {"ViT-B-16", "ViT-B-16-plus-240", "ViT-B-16-SigLIP"} <= names
    assert not {"RN50", "convnext_base"} & names
    assert not any(name.startswith("coca") for name in names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "ViT-B-61"}, r"unknown model 'ViT-B-61': the nearest known names are .*ViT-B-16"),
        ({"name": "embeded"}, r"unknown model 'embeded': .*embedded"),
        ({"name": "ViT-B-16"}, r"ViT-B-16 is an architecture and needs weights: .*openai"),
        ({"name": "ViT-B-16", "pretrained": "openia"}, r"pretrained tag of ViT-B-16.*openai"),
        ({"name": "no/such/file.pt"}, r"no such checkpoint: no/such/file\.pt"),
        ({"name": "gone.safetensors"}, r"no such checkpoint: gone"),
        ({"name": "embedded", "precision": "fp8"}, r"unknown precision 'fp8'.*fp16"),
    ],
)
def test_wrong_names(call: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(**call)


def test_impossible_device(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "clip.safetensors")
    with pytest.raises(InputError, match="device 'quantum' cannot be used"):
        load(str(tmp_path / "clip.safetensors"), device="quantum")


@pytest.mark.parametrize("name", ["ViT-B-16", "hf-hub:some/model"])
def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(loading.open_clip, "create_model", unreachable)
    pretrained = None if name.startswith("hf-hub") else "openai"
    with pytest.raises(InputError, match=r"cannot fetch .*check the network.*'embedded'"):
        load(name, pretrained=pretrained)


# --- refusals ------------------------------------------------------------------------------------


class _Payload:
    """Unpickling it creates a file: a stand-in for arbitrary code."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "nested"])
def test_hostile_pickle_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    target, path = tmp_path / "pwned", tmp_path / "model.pt"
    payload = _Payload(target)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(payload))
    else:
        content = {"state_dict": {"w": payload}} if kind == "nested" else payload
        torch.save(content, path, _use_new_zipfile_serialization=kind != "legacy")
    with pytest.raises(InputError, match=r"refused .*could run code|corrupt checkpoint"):
        load(str(path))
    assert not target.exists()
    with path.open("rb") as file:  # the payload would have worked
        if kind == "pickle":
            pickle.load(file)
            assert target.exists()


def test_hostile_hugging_face_weights_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "pwned"
    torch.save({"w": _Payload(target)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(HF_CONFIG))
    with pytest.raises(InputError, match="refused"):
        load(str(tmp_path))
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn", bytes(200)])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_corrupt_files(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"corrupt|refused"):
        load(str(path))


def test_truncated_files(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(InputError, match="corrupt"):
            load(str(path))


def test_corrupt_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/code/evil.py", "raise SystemExit")
    with pytest.raises(InputError, match="corrupt TorchScript archive"):
        load(str(tmp_path / "model.pt"))


def test_not_a_state_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="not a state dict"):
        load(str(tmp_path / "list.pt"))


def test_undescribed_weights(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not describe its architecture"):
        load(str(tmp_path / "w.safetensors"))


def test_weights_of_another_architecture(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "tiny.safetensors")
    with pytest.raises(InputError, match=r"do not fit ViT-B-16: .*missing.*another shape"):
        load("ViT-B-16", pretrained=str(tmp_path / "tiny.safetensors"))


def test_partial_weights_are_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    partial = {key: value for key, value in state.items() if key != "visual.ln_post.bias"}
    save_file({**partial, "visual.extra": torch.zeros(1)}, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match=r"1 tensors missing \['visual.ln_post.bias'\], 1 unknown"):
        load(str(tmp_path / "part.safetensors"))


def test_directories_that_describe_nothing(tmp_path: Path, state: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="no weights in"):
        load(str(tmp_path))
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"neither open_clip_config\.json nor config\.json"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(InputError, match="as JSON"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match=r"does not belong to a Hugging Face CLIP|type 'clip'"):
        load(str(tmp_path))


def test_unusable_configuration(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"depth": 3}}))
    with pytest.raises(InputError, match="not a usable open_clip model configuration"):
        load(str(tmp_path))


def test_missing_checkpoint() -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        read_checkpoint("/nowhere/at/all.pt")
