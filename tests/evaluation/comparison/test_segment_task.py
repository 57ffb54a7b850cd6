"""Segmentation side by side: shared work changes no number, cells are kept, failures stay alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.vit import DenseViT
from dense.cli.main import main
from dense.datasets import SegmentationFolder
from dense.errors import InputError
from dense.evaluation.comparison import (
    Comparison,
    compare,
    segment_data,
    segment_plan,
    write_tables,
)
from dense.evaluation.comparison.segment_plan import SegmentSetup, plan
from dense.evaluation.comparison.segment_task import SegmentTask
from dense.evaluation.comparison.tables import remarks, to_json, to_markdown
from dense.evaluation.segmentation import segment_folder
from dense.methods.catalog import find_method
from dense.methods.learned_files import save_learned
from dense.methods.method import Method
from dense.methods.segmentation.base import PatchMethod, builder
from dense.methods.segmentation.dinoiser import DinoiserParts, DinoiserSettings
from dense.methods.segmentation.protocol import PROTOCOLS, SegmentProtocol
from tests.datasets.made import make_segmentation, segmentation_mask, write
from tests.evaluation.comparison.conftest import Refused
from tests.helpers import photo, tiny_backbone

TINY_WINDOWS = SegmentProtocol("tiny", short_side=48, crop=32, stride=16, logit_scale=40.0)


made_backbone = cache(tiny_backbone)


@dataclass(frozen=True)
class Broken(PatchMethod):
    """Fails when it sees its second batch."""

    name: ClassVar[str] = "broken"
    calls: ClassVar[list[int]] = []

    def dense(self, vit: DenseViT, trace: object) -> Tensor:
        self.calls.append(1)
        raise ZeroDivisionError("a bug")


build_broken = builder(Broken)


def build_nothing(*_: object, **__: object) -> None:
    raise InputError("weights are missing")


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        name: Method(name, "segment", name, "", f"{__name__}:build_{name}", "")
        for name in ("broken", "nothing")
    }
    monkeypatch.setattr(
        segment_plan, "find_method", lambda name, task: made.get(name) or find_method(name, task)
    )
    monkeypatch.setitem(PROTOCOLS, "tiny", TINY_WINDOWS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_segmentation(tmp_path / "scenes", 5)


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sizes of the batches that ran through the frozen blocks."""
    seen: list[int] = []
    real = DenseViT.trace

    def trace(self: DenseViT, images: Tensor) -> object:
        seen.append(len(images))
        return real(self, images)

    monkeypatch.setattr(DenseViT, "trace", trace)
    return seen


def run(
    root: Path, out: Path, backbone: CLIPBackbone | None = None, **options: object
) -> Comparison:
    fixed = {"methods": ["maskclip", "sclip"], "templates": "plain"} | options
    setup = SegmentSetup([root], **fixed)  # type: ignore[arg-type]
    return compare(SegmentTask(backbone or made_backbone(), setup, cache=out / "text"), out)


def rows(found: Comparison) -> dict[tuple[str, str], dict[str, object]]:
    listed = to_json(found)["methods"]
    assert isinstance(listed, list)
    return {(row["method"], row["refine"]): row for row in listed}


class TestNumbers:
    @pytest.mark.parametrize("protocol", ["whole", "tiny"])
    def test_are_those_of_each_method_alone(
        self, data: Path, tmp_path: Path, protocol: str
    ) -> None:
        found = rows(
            run(data, tmp_path / "o", refine=["none", "pamr"], protocols=[protocol], batch_size=3)
        )
        assert len(found) == 4
        backbone = made_backbone()
        for (method, refine), row in found.items():
            chosen = replace(PROTOCOLS[protocol], refine=() if refine == "none" else (refine,))
            if protocol == "whole":
                chosen = replace(chosen, short_side=backbone.recommended.short_side)
            alone = segment_folder(
                backbone,
                SegmentationFolder(data),
                method=method,
                protocol=chosen,
                templates="plain",
            )
            for metric in ("miou", "macc", "aacc", "boundary_miou", "ece"):
                value = row["values"][metric]["mean"]  # type: ignore[index]
                assert value == pytest.approx(alone[metric], abs=0.1), (method, refine, metric)

    def test_parts_add_up_to_the_whole(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = rows(run(data, tmp_path / "a", batch_size=1))
        monkeypatch.setattr(segment_data, "PART", 2)
        found = run(data, tmp_path / "b", batch_size=1)
        assert len(found.records) == 2 * 3
        for key, row in rows(found).items():
            assert row["confusion"] == whole[key]["confusion"]
            assert row["values"]["ece"] == whole[key]["values"]["ece"]  # type: ignore[index]
            assert row["values"]["images"]["mean"] == 5  # type: ignore[index]

    def test_the_frozen_blocks_run_once_for_all(
        self, data: Path, tmp_path: Path, traces: list[int]
    ) -> None:
        run(data, tmp_path / "a", methods=["maskclip"])
        once = list(traces)
        traces.clear()
        run(data, tmp_path / "b", methods=["maskclip", "sclip", "gem"], refine=["none", "pamr"])
        assert traces == once

    def test_pictures_of_mixed_sizes_fill_batches(
        self, data: Path, tmp_path: Path, traces: list[int]
    ) -> None:
        for place in range(6):  # two sizes, alternating
            size = (40, 48) if place % 2 else (48, 40)
            write(data / "images" / f"{place}.jpg", photo(*size, seed=place))
            write(data / "masks" / f"{place}.png", segmentation_mask(*size, (3, 7)))
        run(data, tmp_path / "o", methods=["maskclip"], batch_size=3)
        assert sorted(traces) == [3, 3]

    def test_vocabularies(self, data: Path, tmp_path: Path) -> None:
        content = {"ignore": [0], "classes": {"7": "table", "3": "cat", "9": "sea"}}
        (data / "classes.json").write_text(json.dumps(content))
        listed = to_json(
            run(data, tmp_path / "o", methods=["clip"], vocabularies=["present", "all"])
        )["methods"]
        assert isinstance(listed, list)
        names = {row["classes"]: row["class_names"] for row in listed}
        assert names == {
            "present": ["cat", "table", "undecided"],
            "all": ["cat", "table", "sea", "undecided"],
        }

    def test_pixels_below_the_threshold_go_to_the_background(
        self, data: Path, tmp_path: Path
    ) -> None:
        content = {"ignore": [0], "classes": {"7": "background", "3": "cat"}}
        (data / "classes.json").write_text(json.dumps(content))
        options = {"methods": ["clip"], "threshold": 1.0, "background": ["wall", "sky"]}
        (row,) = rows(run(data, tmp_path / "o", **options)).values()
        assert row["protocol_card"]["queries"] == 3  # type: ignore[index]
        confusion = np.array(row["confusion"])
        assert confusion[:, 1].sum() == confusion.sum() > 0

    def test_without_a_background_they_are_wrong(self, data: Path, tmp_path: Path) -> None:
        options = {"methods": ["clip"], "threshold": 1.0, "protocols": ["tiny"]}
        (row,) = rows(run(data, tmp_path / "o", **options)).values()
        confusion = np.array(row["confusion"])
        assert confusion[:, 2].sum() == confusion.sum()
        values = row["values"]
        assert values["miou"]["mean"] == values["aacc"]["mean"] == 0  # type: ignore[index]


class TestCells:
    def test_what_is_finished_is_not_run_again(
        self, data: Path, tmp_path: Path, traces: list[int]
    ) -> None:
        first = run(data, tmp_path / "o")
        traces.clear()
        again = run(data, tmp_path / "o")
        assert traces == [] and again.records == first.records
        more = run(data, tmp_path / "o", methods=["maskclip", "gem"])
        assert traces and [r["method"] for r in more.records] == ["maskclip", "gem"]

    @pytest.mark.parametrize(
        "change",
        [{"threshold": 0.5}, {"short_side": 32}, {"templates": "none"}, {"protocols": ["tiny"]}],
    )
    def test_a_changed_setting_is_measured_anew(
        self, data: Path, tmp_path: Path, traces: list[int], change: dict[str, object]
    ) -> None:
        run(data, tmp_path / "o")
        traces.clear()
        run(data, tmp_path / "o", **change)
        assert traces

    def test_changed_data_and_checkpoint_are_measured_anew(
        self, data: Path, tmp_path: Path, traces: list[int]
    ) -> None:
        run(data, tmp_path / "o")
        for change in ("mask", "words", "checkpoint"):
            traces.clear()
            if change == "mask":
                write(data / "masks" / "0.png", segmentation_mask(40, 48, (3, 7, 0, 3)))
            if change == "words":
                content = {"ignore": [0], "classes": {"7": "desk", "3": "cat"}}
                (data / "classes.json").write_text(json.dumps(content))
            run(data, tmp_path / "o", made_backbone(int(change == "checkpoint")))
            assert traces, change

    def test_an_interrupted_comparison_keeps_finished_parts(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traces: list[int]
    ) -> None:
        monkeypatch.setattr(segment_data, "PART", 2)
        real, calls = SegmentTask.measure, []

        def stop(self: SegmentTask, waiting: object) -> object:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(self, waiting)  # type: ignore[arg-type]

        monkeypatch.setattr(SegmentTask, "measure", stop)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "o", batch_size=1)
        monkeypatch.setattr(SegmentTask, "measure", real)
        assert len(traces) == 4
        run(data, tmp_path / "o", batch_size=1)
        assert len(traces) == 5

    def test_text_is_encoded_once_for_a_vocabulary(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []
        real = CLIPBackbone.encode_text
        monkeypatch.setattr(
            CLIPBackbone,
            "encode_text",
            lambda self, texts, **o: calls.append(len(texts)) or real(self, texts, **o),
        )
        run(data, tmp_path / "o", refine=["none", "pamr"])
        assert calls == [2]
        run(data, tmp_path / "o", methods=["gem"])
        assert calls == [2]  # from the folder of the first run


class TestFailures:
    def test_a_failing_method_does_not_cost_the_others(self, data: Path, tmp_path: Path) -> None:
        Broken.calls.clear()
        found = run(data, tmp_path / "o", methods=["broken", "sclip", "nothing"])
        alone = run(data, tmp_path / "p", methods=["sclip"])
        assert [r["method"] for r in found.records] == ["sclip"]
        assert found.records[0]["counts"] == alone.records[0]["counts"]
        assert [f["error"] for f in found.failures] == [
            "ZeroDivisionError: a bug",
            "weights are missing",
        ]
        assert "trace" in found.failures[0] and "trace" not in found.failures[1]
        assert len(Broken.calls) == 1
        assert "broken, refine none: ZeroDivisionError: a bug" in to_markdown(found)

    def test_a_mask_with_an_unknown_id_fails_its_part_alone(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(segment_data, "PART", 1)
        write(data / "masks" / "4.png", segmentation_mask(72, 48, (3, 99)))
        with pytest.raises(InputError, match=r"4\.png holds mask ids .* \[99\]"):
            run(data, tmp_path / "o")
        found = run(data, tmp_path / "o", vocabularies=["all"], methods=["sclip"])
        assert "holds mask ids that classes.json does not name: [99]" in found.failures[0]["error"]
        assert remarks(found)["Incomplete"] == ["scenes, all, whole, sclip, none: 4 of 5 parts"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"methods": ["maskclp"]}, "unknown segment method 'maskclp'.*maskclip"),
            ({"refine": ["pmar"]}, "unknown post-processing step 'pmar'.*pamr"),
            ({"refine": ["pamr+vot"]}, "unknown post-processing step 'vot'"),
            ({"protocols": ["tlc"]}, "unknown segmentation protocol 'tlc'.*tcl"),
            ({"vocabularies": ["presnt"]}, "unknown vocabulary 'presnt'.*present"),
            ({"refine": []}, "nothing to compare"),
            ({"threshold": 2.0}, "the threshold is a probability"),
            ({"limit": 0}, "the limit must be 1 or more pictures, got 0"),
            ({"methods": ["clip-dinoiser"]}, "clip-dinoiser needs learned parts: --weights"),
            ({"methods": ["linear-head"]}, "linear-head knows the classes of its own data alone"),
            ({"methods": ["clip"], "weights": {"sclip": Path("x")}}, "weights are given for sclip"),
        ],
    )
    def test_bad_settings(self, data: Path, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            plan(SegmentSetup([data], **options))  # type: ignore[arg-type]

    def test_a_vocabulary_that_data_do_not_have(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="the vocabulary 'voc' has 1"):
            run(data, tmp_path / "o", vocabularies=["voc"])

    def test_masks_of_one_class_or_none(self, data: Path, tmp_path: Path) -> None:
        content = {"ignore": [0, 7], "classes": {"3": "cat"}}
        (data / "classes.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"needs at least 2 classes, .* has 1"):
            run(data, tmp_path / "o")


def test_learned_parts_make_a_row_and_others_are_measured_anew(data: Path, tmp_path: Path) -> None:
    backbone, file = made_backbone(), tmp_path / "learned.safetensors"
    settings, cards = DinoiserSettings(width=4, block=-1), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        parts = DinoiserParts(backbone.vit.tower.width, settings)
        trained = SimpleNamespace(
            name="clip-dinoiser", settings=settings, learned=parts, backbone=backbone
        )
        save_learned(file, trained)
        weights = {"clip-dinoiser": file}
        found = run(data, tmp_path / "o", methods=["clip-dinoiser"], weights=weights)
        assert not found.failures
        cards.append(found.records[0]["protocol_card"])
    assert cards[0]["learned"] == "learned.safetensors"
    assert len(list((tmp_path / "o" / "cells").glob("*.json"))) == 2


class TestFiles:
    def test_table_page_and_cards(self, data: Path, tmp_path: Path) -> None:
        found = run(data, tmp_path / "o", refine=["none", "pamr"])
        paths = write_tables(found, tmp_path / "o")
        content = json.loads(paths[0].read_text())
        row = content["methods"][0]
        assert [entry["class"] for entry in row["per_class"]] == ["cat", "wooden table"]
        assert sum(entry["share"] for entry in row["per_class"]) == pytest.approx(100)
        assert row["protocol_card"]["method"] == "maskclip"
        assert row["values"]["peak_mb"]["mean"] > 50
        assert row["values"]["method_x"]["mean"] > 0.5
        confusion = np.array(row["confusion"])
        assert confusion.shape == (3, 3)
        assert row["values"]["aacc"]["mean"] == pytest.approx(
            100 * np.diag(confusion).sum() / confusion.sum()
        )
        markdown = paths[1].read_text()
        assert "| data | classes | protocol | method | refine | miou |" in markdown
        assert (
            "; model tiny; protocol whole; short_side 64; " in markdown
            and "attention qq+kk" in markdown
        )
        page = paths[2].read_text()
        assert page.count("data:image/jpeg") == 4 * 2 and "IoU by class" in page

    def test_worst_and_best_over_all_parts(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leading(out: str) -> list[str]:
            page = write_tables(run(data, tmp_path / out, methods=["sclip"]), tmp_path / out)[2]
            text = page.read_text()
            return [part.split("<")[0] for part in text.split("<figcaption>")[1:]]

        whole = leading("a")
        monkeypatch.setattr(segment_data, "PART", 2)
        assert leading("b") == whole and whole[0].startswith("worst: ")


class TestCommand:
    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dense.apps.files.load", lambda *_, **__: made_backbone())

    def test_finds_the_task_and_takes_several_roots(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = make_segmentation(tmp_path / "b" / "scenes", 2)
        options = ["--methods", "recommended", "sclip", "--refine", "none", "pamr+pamr"]
        options += ["--protocol", "whole", "tiny", "--limit", "2", "--batch-size", "2"]
        out = tmp_path / "o"
        extra = tmp_path / "more" / "table.json"
        options += ["--json", str(extra)]
        assert main(["compare", str(data), str(other), *options, "--out", str(out)]) == 0
        assert extra.read_text() == (out / "table.json").read_text()
        captured = capsys.readouterr()
        assert "protocol cards:" in captured.out and "pamr+pamr" in captured.out
        assert "[1/16]" in captured.err and "and 3 that share its work" in captured.err
        content = json.loads((out / "table.json").read_text())
        assert content["command"] == "compare, segment"
        assert len(content["methods"]) == 16
        assert len({row["data"] for row in content["methods"]}) == 2
        assert {row["values"]["images"]["mean"] for row in content["methods"]} == {2}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--shots", "1"], "--shots is an option of inspect, but DATA is compared by segment"),
            (["--task", "inspect", "--refine", "pamr"], "--refine is an option of segment"),
            (["--methods", "winclip"], "unknown segment method 'winclip'"),
            (["--vocabulary", "voc"], "the vocabulary 'voc' has 1"),
        ],
    )
    def test_wrong_options_are_one_line(
        self, data: Path, refused: Refused, options: list[str], message: str
    ) -> None:
        (line,) = refused(data, options)
        assert message in line

    def test_tasks_do_not_mix(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "products").mkdir()
        words = ["compare", str(data), str(tmp_path / "products"), "--out", str(tmp_path / "o")]
        assert main(words) == 2
        assert "data sets of different tasks cannot share a table" in capsys.readouterr().err
