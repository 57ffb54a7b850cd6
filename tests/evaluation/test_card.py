"""The model card: each task against a value worked out another way, and the whole table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dense.classifier import build_text_classifier
from dense.cli.main import main
from dense.datasets import SegmentationFolder
from dense.errors import InputError
from dense.evaluation.card import CardRow, CardSources, make_card, to_markdown
from dense.evaluation.classification import classify_pictures, read_labelled
from dense.evaluation.inspection import inspect_category
from dense.evaluation.segmentation import present_classes, segment_folder
from dense.methods.segmentation.protocol import SegmentProtocol
from dense.structures import AnomalyResult, Sample
from tests.datasets.made import make_category, make_detection, make_segmentation, write
from tests.helpers import photo, tiny_backbone


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    for number, name in enumerate(("cat", "dog", "tree_frog")):
        for copy in range(2):
            write(tmp_path / "labelled" / name / f"{copy}.png", photo(seed=2 * number + copy))
    return tmp_path / "labelled"


def test_zero_shot_accuracy_equals_a_loop_over_single_pictures(labelled: Path) -> None:
    backbone = tiny_backbone()
    pictures = read_labelled(labelled)
    assert pictures.class_names == ("cat", "dog", "tree frog")
    weights = build_text_classifier(backbone, pictures.class_names, templates="short").weights
    hits = []
    for path, label in zip(pictures.paths, pictures.labels, strict=True):
        from dense.images import read_image

        image = backbone.preprocess.resize(read_image(path), backbone.image_size)
        with torch.no_grad():
            tensor = backbone.preprocess.to_tensor(image)[None]
            feature = backbone.model.encode_image(tensor)[0]
        hits.append(int((weights @ feature).argmax()) == label)
    scores = classify_pictures(backbone, pictures, templates="short", batch_size=4)
    assert scores["top1"] == pytest.approx(100 * np.mean(hits))
    assert scores["top5"] == 100
    assert scores["count"] == 6


def test_labels_from_jsonl_and_imagenet_names(labelled: Path, tmp_path: Path) -> None:
    rows = [
        {"file": "labelled/cat/0.png", "texts": ["tabby cat"]},
        {"file": "labelled/dog/0.png", "texts": ["no such class"]},
    ]
    listing = tmp_path / "photos.jsonl"
    listing.write_text("\n".join(map(json.dumps, rows)))
    assert read_labelled(listing).class_names == ("no such class", "tabby cat")
    pictures = read_labelled(listing, imagenet=True)
    assert len(pictures.paths) == 1 and len(pictures.class_names) > 990
    assert pictures.class_names[pictures.labels[0]] == "tabby cat"


def test_broken_listing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"file": "a.png"}')
    with pytest.raises(InputError, match="as labelled pictures"):
        read_labelled(tmp_path / "bad.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no labelled pictures"):
        read_labelled(tmp_path / "empty")


def test_segmentation_counts_only_the_chosen_classes(tmp_path: Path) -> None:
    folder = SegmentationFolder(make_segmentation(tmp_path))
    assert present_classes(folder) == [0, 1]
    backbone = tiny_backbone()
    scores = segment_folder(
        backbone,
        folder,
        method="maskclip",
        protocol=SegmentProtocol(short_side=32),
        templates="plain",
    )
    assert 0 <= scores["miou"] <= scores["macc"] + 1e-9 <= 100
    with pytest.raises(InputError, match="at least 2 classes"):
        segment_folder(backbone, folder, classes=[0])


class Oracle:
    """Scores a picture by whether its mask has a defect, and its pixels by the mask."""

    def __init__(self) -> None:
        self.support: list[Sample] = []

    def fit(self, support: list[Sample]) -> None:
        self.support = list(support)

    def predict(self, samples: list[Sample]) -> list[AnomalyResult]:
        return [
            AnomalyResult(np.asarray(s.mask, np.float32), float(np.asarray(s.mask).any()))
            for s in samples
        ]


def test_a_perfect_inspector_scores_hundred_and_gets_its_shots(tmp_path: Path) -> None:
    make_category(tmp_path / "nut")
    oracle = Oracle()
    scores = inspect_category(oracle, str(tmp_path), "nut", shots=3, seed=1)
    assert scores["image_auroc"] == scores["pixel_auroc"] == scores["aupro"] == 100
    assert len(oracle.support) == 3
    assert all("train" in str(s.image_path) for s in oracle.support)


def test_the_whole_card_has_every_task(tmp_path: Path, labelled: Path) -> None:
    make_segmentation(tmp_path / "seg")
    make_detection(tmp_path / "det")
    make_category(tmp_path / "parts" / "nut")
    sources = CardSources([labelled], [tmp_path / "seg"], [tmp_path / "det"], [tmp_path / "parts"])
    lines: list[str] = []
    rows = make_card(
        tiny_backbone(),
        sources,
        shots=(0, 1),
        seeds=2,
        short_side=32,
        methods=["patch", "patchcore"],
        progress=lines.append,
    )
    assert {row.task for row in rows} == {
        "speed",
        "classification",
        "segmentation",
        "regions",
        "inspection",
    }
    assert {row.setting for row in rows if row.task == "inspection"} == {
        "patch, 0-shot",
        "patch, 1-shot",
        "patchcore, 1-shot",
    }
    for row in rows:
        assert row.interval is None or row.interval[0] <= row.value <= row.interval[1]
    assert len(lines) == 5
    assert all(0 <= row.value <= 100 for row in rows)


def test_a_card_without_data_is_refused() -> None:
    with pytest.raises(InputError, match="the card needs data"):
        make_card(tiny_backbone(), CardSources())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": (-1,)}, "shots must be 0 or more"),
        ({"seeds": 0}, "seeds 1 or more"),
        ({"methods": ["pach"]}, "unknown inspect method 'pach'"),
        ({"segmentation": [Path("gone")]}, "no such file or directory: gone"),
        ({"products": {"nur": "a nut"}}, "unknown category of a product 'nur'.*nut"),
    ],
)
def test_a_card_is_checked_before_anything_runs(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    make_category(tmp_path / "nut")
    sources = {key: options.pop(key) for key in ("segmentation", "products") if key in options}
    steps: list[str] = []
    with pytest.raises(InputError, match=message):
        chosen = CardSources(anomaly=[tmp_path], **sources)
        make_card(tiny_backbone(), chosen, progress=steps.append, **options)
    assert not steps


def test_markdown_of_a_row() -> None:
    row = CardRow("inspection", "nut", "patch, 4-shot", "image_auroc", 91.26, 1.04, 9, (85, 95.14))
    expected = "| inspection | nut | patch, 4-shot | image_auroc | 91.3 ± 1.0 | 85.0 – 95.1 |"
    assert expected in to_markdown([row])


def test_command_writes_the_card(
    tmp_path: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dense.backbones.load", lambda *_, **__: tiny_backbone())
    out, table = tmp_path / "card.json", tmp_path / "card.md"
    arguments = ["models", "card", "tiny", "--classification", str(labelled)]
    assert main([*arguments, "--json", str(out), "--markdown", str(table)]) == 0
    content = json.loads(out.read_text())
    assert {row["metric"] for row in content["rows"]} == {"seconds", "top1", "top5", "ece"}
    assert table.read_text().startswith("| task | data |")
    assert main(["models", "card", "tiny", "--product", "nonsense"]) == 2
