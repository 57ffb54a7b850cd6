"""Every config of the repository builds and runs, with a tiny model and made-up data."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from dense.engine import factories
from dense.engine.build import build, load_config
from dense.engine.run import test_config
from dense.errors import InputError
from dense.providers import sam, vit
from tests.datasets.made import make_category, make_segmentation, segmentation_mask, write
from tests.helpers import photo, tiny_backbone
from tests.providers.tiny import tiny_network, tiny_sam

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
ALL = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)
LEARNED = [p for p in ALL if "learned.safetensors" in p.read_text()]  # see test_learned_configs
BENCHMARKS = [
    p
    for p in ALL
    if "embedded" not in p.stem
    and p.parent.name not in ("train", "detect", "look")
    and p not in LEARNED
]
FAST = {"model.method.templates": "plain", "model.method.short_side": 32}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())
    monkeypatch.setattr(vit, "load_vit", lambda name, weights: tiny_network())
    monkeypatch.setattr(sam, "load_sam", lambda name, weights: tiny_sam())


def pair(root: Path, image: str, mask: str, ids: tuple[int, ...]) -> None:
    write(root / image, photo(32, 48))
    write(root / mask, segmentation_mask(32, 48, ids))


def make_benchmark(root: Path, name: str) -> Path:
    """One picture in the layout of a benchmark, with its first classes in the mask."""
    if name.startswith("voc"):
        pair(root, "JPEGImages/a.jpg", "SegmentationClass/a.png", (0, 1, 2, 255))
        write_list(root / "ImageSets" / "Segmentation" / "val.txt")
    elif name.startswith("context"):
        pair(root, "JPEGImages/a.jpg", "SegmentationClassContext/a.png", (0, 1, 2))
        write_list(root / "ImageSets" / "SegmentationContext" / "val.txt")
    elif name.startswith("coco"):
        suffix = "_instanceTrainIds" if name == "coco_object" else "_labelTrainIds"
        masks = f"annotations/val2017/a{suffix}.png"
        pair(root, "images/val2017/a.jpg", masks, (0, 1, 2, 255))
    elif name == "ade20k":
        pair(root, "images/validation/a.jpg", "annotations/validation/a.png", (0, 1, 2))
    elif name == "cityscapes":
        image, mask = "x_leftImg8bit.png", "x_gtFine_labelTrainIds.png"
        pair(root, f"leftImg8bit/val/b/{image}", f"gtFine/val/b/{mask}", (0, 1, 255))
    else:
        for category in ("pcb1", "metal_nut"):
            make_category(root / category, train=1, good=1, bad=1)
    return root


def write_list(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("a\n")


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_describes_itself(path: Path) -> None:
    text = path.read_text()
    for part in ("Paper:", "Command:", "Expected:", "Minutes:", str(path.relative_to(ROOT))):
        assert part in text


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda p: p.stem)
def test_benchmark_builds_and_predicts(path: Path, tmp_path: Path) -> None:
    name = path.stem.partition("_vitb16")[2].partition("_")[2]
    root = make_benchmark(tmp_path, name)
    fast = FAST if path.parent.name == "segment" else {}
    cfg = load_config(path, fast, data_root=root)
    loader, method = build(cfg.test_dataloader.dataset), build(cfg.model)
    sample = loader[0]
    if cfg.get("support") is not None and cfg.support.shots:
        normal = build(cfg.support.dataset)
        method.method.fit([normal[i] for i in range(len(normal))])
    prediction = method([0], [sample], mode="predict")[0]
    metric = build(cfg.test_evaluator)[0]
    metric.dataset_meta = loader.metainfo
    assert metric.record(prediction)
    if path.parent.name == "segment":
        expected = {"voc20": 20, "voc21": 21, "context59": 59, "context60": 60, "coco_object": 81}
        expected |= {"coco_stuff": 171, "ade20k": 150, "cityscapes": 19}
        assert len(prediction.result.class_names) == expected[name]
        card = method.method.describe()
        method_name = path.stem.partition("_vitb16")[0].replace("_", "-")
        assert card["method"] == method_name.removesuffix("-refined")
        assert (card["protocol"].split(",")[0], card["logit_scale"]) == ("sclip", 40.0)
        assert set(np.unique(sample.mask)) <= {0, 1, 2, 255}


@pytest.mark.parametrize(
    "config",
    [p for p in ALL if p.match("segment/*_embedded_folder.py") and p not in LEARNED],
    ids=lambda p: p.stem,
)
def test_segmentation_folder_runs(config: Path, tmp_path: Path) -> None:
    root = make_segmentation(tmp_path / "data")
    report = test_config(config, data_root=root, work_dir=tmp_path / "work", options=FAST)
    overall, protocol = report["overall"], report["protocol"]
    assert isinstance(overall, dict) and isinstance(protocol, dict)
    assert 0 <= overall["miou"] <= 100
    assert overall["miou"] == pytest.approx(
        np.mean([row["iou"] for row in report["per_class"].values()])  # type: ignore[union-attr]
    )
    assert (protocol["short_side"], protocol["classes"]) == (32, 2)


def test_segmentor_choices() -> None:
    backbone = tiny_backbone()
    plain = {"backbone": backbone, "classes": ["cat", "dog"], "templates": "plain"}
    method = factories.segmentor(**plain)
    card = method.describe()
    assert (card["method"], card["protocol"]) == ("recommended", "whole")
    assert card["short_side"] == backbone.recommended.short_side
    method = factories.segmentor(
        **plain, method="clip", short_side="original", refine=["pamr"], background=["sky"]
    )
    card = method.describe()
    assert (card["attention"], card["protocol"]) == ("plain", "whole, changed")
    assert (card["short_side"], card["refine"]) == (None, ["pamr"])
    method = factories.segmentor(**plain, method="gem", settings={"blocks": 2}, protocol="tcl")
    assert (method.describe()["blocks"], method.describe()["protocol"]) == (2, "tcl")
    with pytest.raises(InputError, match=r"unknown setting of the method 'block'.*blocks"):
        factories.segmentor(**plain, method="gem", settings={"block": 2})
    method = factories.segmentor(**plain, background=["sky"])
    assert method.classifier.class_names == ("background", "cat", "dog")
    method = factories.segmentor(
        **{**plain, "classes": ["background", "tvmonitor"]},
        background=["sky", "road"],
        words={"tvmonitor": "television; screen"},
    )
    assert method.classifier.class_names == ("background", "television")
    assert method.classifier.class_index is not None
    assert method.classifier.class_index.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "shots", "method"),
    [
        ("winclip_embedded_folder", [], "WinCLIP"),
        ("winclip_4shot_embedded_folder", [4], "WinCLIP+"),
        ("patchcore_4shot_embedded_folder", [4], "PatchCore"),
        ("anomalydino_4shot_embedded_folder", [4], "AnomalyDINO"),
        ("subspace_4shot_embedded_folder", [4], "SubspaceAD"),
        ("words_memory_4shot_embedded_folder", [4], "words and memory"),
        ("winclip_fast_embedded_folder", [], "WinCLIP"),
    ],
)
def test_inspection_folder_runs(tmp_path: Path, name: str, shots: list[int], method: str) -> None:
    make_category(tmp_path / "data" / "nut")
    config = CONFIGS / "inspect" / f"{name}.py"
    report = test_config(config, data_root=tmp_path / "data", work_dir=tmp_path / "work")
    protocol, categories = report["protocol"], report["per_category"]
    assert isinstance(protocol, dict) and isinstance(categories, dict)
    assert (protocol["method"], protocol["shots"]) == (method, shots)
    assert categories["nut"] == report["overall"]
    assert 0 <= categories["nut"]["aupro"] <= 100


class TestTool:
    CONFIG = Path(__file__).parent / "configs" / "stub_segment.py"

    def call(self, monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: str | Path) -> int:
        path = ROOT / "tools" / tool
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
        return int(end.value.code or 0)

    def test_prints_and_writes_json(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = make_segmentation(tmp_path / "data")
        out = tmp_path / "out.json"
        work = ("--work-dir", tmp_path / "work", "--json", out)
        options = ("--cfg-options", "model.method.choice=1")
        code = self.call(monkeypatch, "test.py", self.CONFIG, "--data-root", root, *work, *options)
        assert code == 0
        printed = capsys.readouterr().out
        assert "wooden table" in printed and "50.00" in printed and "choice=1" in printed
        written = json.loads(out.read_text())
        assert written["overall"] == {"miou": 25.0, "macc": 50.0, "aacc": 50.0}

    @pytest.mark.parametrize("tool", ["test.py", "train.py"])
    def test_wrong_input_is_one_line_and_exit_code_2(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tool: str,
    ) -> None:
        assert self.call(monkeypatch, tool, "gone.py") == 2
        captured = capsys.readouterr()
        assert captured.err == "error: no such config: gone.py\n"
        assert captured.out == ""

    def test_trains(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root, work = make_segmentation(tmp_path / "data"), tmp_path / "work"
        config = self.CONFIG.with_name("stub_train.py")
        arguments = ("--data-root", root, "--work-dir", work, "--seed", "3")
        assert self.call(monkeypatch, "train.py", config, *arguments) == 0
        assert "iterations 3" in capsys.readouterr().out
        assert (work / "iter_3.pth").is_file()

    @pytest.mark.parametrize("tool", ["test.py", "train.py"])
    def test_is_short(self, tool: str) -> None:
        assert len((ROOT / "tools" / tool).read_text().splitlines()) < 80
