"""`dense models card`: every ability of a checkpoint in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets import AnomalyFolder, DetectionFolder, SegmentationFolder
from dense.datasets.regions import PanopticFolder
from dense.errors import InputError, unknown_name
from dense.evaluation.classification import classify_pictures, read_labelled
from dense.evaluation.clusters import cluster_folder
from dense.evaluation.inspection import CategoryData, Inspector, measure
from dense.evaluation.regions import region_accuracy
from dense.evaluation.segmentation import VOC_NAMES, present_classes, segment_folder
from dense.evaluation.text import read_held_out, text_cosine
from dense.methods.catalog import find_method
from dense.methods.segmentation.protocol import WHOLE
from dense.metrics.intervals import auroc_interval, wilson_interval
from dense.prompts import readable_name
from dense.structures import AnomalyResult, Sample
from dense.training.sentence_teacher import minilm

MANY_CLASSES = 200
"""Above, 7 templates are used instead of 80: a tenth of the text work."""

Progress = Callable[[str], None]
Scored = list[tuple[float, int]]


@dataclass(frozen=True)
class CardSources:
    """Where the card's data lie; tasks without a source are left out.

    Attributes:
        classification: Class folders or ``.jsonl`` files.
        segmentation: Folders with images/ masks/ classes.json.
        detection: Folders with images/ instances.json, or images/ panoptic/ panoptic.json.
        anomaly: Folders of MVTec-style categories.
        text: Files of phrases for `dense.evaluation.text`.
        clusters: Folders as for segmentation, for patches clustered without words.
        products: Words by category, where the category's own name is not what it shows.
    """

    classification: Sequence[Path] = ()
    segmentation: Sequence[Path] = ()
    detection: Sequence[Path] = ()
    anomaly: Sequence[Path] = ()
    text: Sequence[Path] = ()
    clusters: Sequence[Path] = ()
    products: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardRow:
    """One figure of the card.

    Attributes:
        task: Kind of ability.
        data: Name of the test set.
        setting: What changes the number.
        metric: Name; rates in percent.
        value: The figure; the mean if there are several seeds.
        spread: Sample standard deviation over seeds.
        interval: 95 % confidence, from the number of test pictures alone.
        count: Test pictures.
    """

    task: str
    data: str
    setting: str
    metric: str
    value: float
    spread: float | None = None
    count: int = 0
    interval: tuple[float, float] | None = None


def make_card(
    backbone: CLIPBackbone,
    sources: CardSources,
    *,
    shots: Sequence[int] = (0, 1, 2, 4),
    seeds: int = 3,
    short_side: int | None = None,
    methods: Sequence[str] = ("words-memory",),
    progress: Progress = lambda _: None,
) -> list[CardRow]:
    """Measure a checkpoint on everything the sources offer.

    Args:
        backbone: The checkpoint.
        sources: The data.
        shots: Numbers of support pictures; 0 is zero-shot.
        seeds: Support choices 0 … seeds − 1; their mean and standard deviation are given.
        short_side: Input short side for segmentation and regions; what the checkpoint recommends
            if ``None``.
        methods: Inspection methods by name, see `dense.methods.catalog`.
        progress: Called with a line before each step.

    Raises:
        InputError: If there is no source at all, one cannot be read, or a name or number is wrong.
    """
    categories = _check(sources, shots, seeds, methods)
    rows = [_speed(backbone)]
    for source in sources.text:
        progress(f"text: {source}")
        rows += _text(backbone, Path(source))
    side = short_side or backbone.recommended.short_side
    for source in sources.classification:
        progress(f"classification: {source}")
        rows += _classification(backbone, Path(source))
    for source in sources.segmentation:
        progress(f"segmentation: {source}")
        rows += _segmentation(backbone, Path(source), side)
    for source in sources.clusters:
        progress(f"clusters: {source}")
        rows.append(_clusters(backbone, Path(source), side, seeds))
    for source in sources.detection:
        progress(f"regions: {source}")
        rows += _regions(backbone, Path(source), side)
    for source in sources.anomaly:
        for category in categories[source]:
            for count in shots:
                progress(f"inspection: {category}, {count} shots")
                words = sources.products.get(category, category.replace("_", " "))
                for name in methods:
                    method = find_method(name, "inspect")
                    if method.few_shot if count else method.zero_shot:
                        build = partial(method.builder(), backbone, {category: words}, shots=count)
                        data = CategoryData(source, category)
                        rows += _inspection(name, build, data, count, seeds)
    return rows


def _check(
    sources: CardSources, shots: Sequence[int], seeds: int, methods: Sequence[str]
) -> dict[Path, tuple[str, ...]]:
    """Refuse what can be known to fail before hours have gone by; categories by anomaly source."""
    pictures = [*sources.classification, *sources.segmentation, *sources.clusters]
    named = [*pictures, *sources.detection, *sources.anomaly, *sources.text]
    if not named:
        raise InputError(
            "the card needs data: name at least one of --classification, --segmentation, "
            "--clusters, --detection, --anomaly and --text"
        )
    for source in named:
        if not Path(source).exists():
            raise InputError(f"no such file or directory: {source}")
    if not shots or min(shots) < 0 or seeds < 1:
        raise InputError(f"shots must be 0 or more and seeds 1 or more, got {list(shots)}, {seeds}")
    for name in methods:
        find_method(name, "inspect")
    found = {s: AnomalyFolder(s, split="test").categories for s in sources.anomaly}
    known = {category for categories in found.values() for category in categories}
    for category in sources.products:
        if category not in known:
            raise unknown_name("category of a product", category, known)
    return found


@torch.inference_mode()
def _speed(backbone: CLIPBackbone) -> CardRow:
    images = torch.zeros(1, 3, *backbone.image_size, device=backbone.device, dtype=backbone.dtype)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        backbone.vit(images)
        times.append(time.perf_counter() - start)
    setting = f"{backbone.image_size[0]} px, batch 1, {torch.get_num_threads()} threads"
    return CardRow("speed", "zeros", setting, "seconds", float(np.median(times[2:])), count=5)


def _text(backbone: CLIPBackbone, source: Path) -> list[CardRow]:
    found = text_cosine(backbone, minilm(), read_held_out(source))
    return [
        row
        for name, scores in found.items()
        for row in _rows("text", name, "to the sentence encoder", scores, ("cosine", "top1"))
    ]


def _classification(backbone: CLIPBackbone, source: Path) -> list[CardRow]:
    from open_clip import IMAGENET_CLASSNAMES

    pictures = read_labelled(source)
    known = set(IMAGENET_CLASSNAMES)
    imagenet = sum(name in known for name in pictures.class_names) > 0.9 * len(pictures.class_names)
    if imagenet and len(pictures.class_names) > 500:
        pictures = read_labelled(source, imagenet=True)
    templates = "short" if len(pictures.class_names) > MANY_CLASSES else "imagenet"
    scores = classify_pictures(backbone, pictures, templates=templates)
    setting = f"{len(pictures.class_names)}-way, {templates} templates"
    return _rows("classification", source.stem, setting, scores, ("top1", "top5", "ece"))


def _segmentation(backbone: CLIPBackbone, source: Path, short_side: int) -> list[CardRow]:
    folder, protocol = SegmentationFolder(source), replace(WHOLE, short_side=short_side)
    present = present_classes(folder)
    vocabularies = {"all names": present}
    voc = [k for k in present if folder.labels.names[k] in VOC_NAMES]
    if 5 <= len(voc) < len(present):
        vocabularies["VOC names"] = voc
    rows = []
    for name, classes in vocabularies.items():
        scores = segment_folder(backbone, folder, protocol=protocol, classes=classes)
        setting = f"{len(classes)} {name}, {short_side} px"
        rows += _rows("segmentation", source.name, setting, scores, ("miou", "aacc", "ece"))
    return rows


def _clusters(backbone: CLIPBackbone, source: Path, short_side: int, seeds: int) -> CardRow:
    folder = SegmentationFolder(source)
    found = cluster_folder(backbone, folder, short_side=short_side, seeds=seeds)
    values = [scores["miou"] for scores in found]
    setting = f"k-means, {len(present_classes(folder))} classes, {short_side} px, {seeds} starts"
    spread = float(np.std(values, ddof=1)) if seeds > 1 else None
    mean, count = float(np.mean(values)), len(folder)
    return CardRow("clusters", source.name, setting, "miou", mean, spread, count)


def _regions(backbone: CLIPBackbone, source: Path, short_side: int) -> list[CardRow]:
    panoptic = (source / "panoptic.json").is_file()
    folder = PanopticFolder(source) if panoptic else DetectionFolder(source)
    names = [readable_name(name) for name in folder.names]
    classifier = build_text_classifier(backbone, names)
    samples = (folder[i] for i in range(len(folder)))
    block = backbone.recommended.block
    found = region_accuracy(backbone, samples, classifier, block, short_side=short_side)
    rows = []
    for kind, scores in found.items():
        setting = f"given {kind}, {len(names)} names, {short_side} px"
        metrics = ("top1", "mean_top1", "mean_top5", "ece")
        rows += _rows("regions", source.name, setting, scores, metrics)
    return rows


def _inspection(
    name: str, build: Callable[[], Inspector], data: CategoryData, shots: int, seeds: int
) -> list[CardRow]:
    metrics, runs, labels = [], [], []
    for seed in range(seeds if shots else 1):
        seen: Scored = []

        def note(
            sample: Sample, result: AnomalyResult, seen: list[tuple[float, int]] = seen
        ) -> None:
            seen.append((result.score, int(sample.label or 0)))

        metrics.append(measure(build(), data, shots=shots, seed=seed, seen=note).metrics)
        runs.append([score for score, _ in seen])
        labels = [label for _, label in seen]
    rows = []
    low, high = auroc_interval(runs, labels)
    for metric in ("image_auroc", "pixel_auroc", "aupro"):
        values = np.array([score[metric] for score in metrics])
        if not np.isnan(values).all():
            spread = float(values.std(ddof=1)) if len(values) > 1 else None
            interval = (100 * low, 100 * high) if metric == "image_auroc" else None
            setting, value = f"{name}, {shots}-shot", float(values.mean())
            rows.append(
                CardRow(
                    "inspection",
                    data.category,
                    setting,
                    metric,
                    value,
                    spread,
                    len(labels),
                    interval,
                )
            )
    return rows


def _rows(
    task: str, data: str, setting: str, scores: dict[str, float], metrics: Sequence[str]
) -> list[CardRow]:
    count = int(scores.get("count", 0))
    rows = []
    for metric in metrics:
        value, interval = scores[metric], None
        if metric.startswith("top") and count:
            low, high = wilson_interval(value / 100, count)
            interval = (100 * low, 100 * high)
        rows.append(CardRow(task, data, setting, metric, value, count=count, interval=interval))
    return rows


def to_markdown(rows: Sequence[CardRow]) -> str:
    """The card as a Markdown table."""
    lines = ["| task | data | setting | metric | value | 95 % |", "|---|---|---|---|---|---|"]
    for row in rows:
        digits = 3 if row.metric in ("seconds", "cosine") else 1
        spread = "" if row.spread is None else f" ± {row.spread:.{digits}f}"
        value = f"{row.value:.{digits}f}{spread}"
        sure = "" if row.interval is None else f"{row.interval[0]:.1f} – {row.interval[1]:.1f}"
        cells = (row.task, row.data, row.setting, row.metric, value, sure)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
