"""Methods put together from a backbone and words, for configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from dense.backbones import CLIPBackbone, load
from dense.classifier import build_text_classifier
from dense.engine.data import class_names
from dense.engine.model import default_device
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.winclip import PAPER, WinCLIPInspector, WindowProtocol
from dense.methods.catalog import find_method
from dense.methods.segmentation.base import Setting
from dense.methods.segmentation.protocol import Threshold, find_protocol
from dense.methods.segmentor import OpenVocabSegmentor, advised_protocol, build_segmentor
from dense.prompts import StateWords, make_class_list
from dense.structures import Size, TextClassifier


def clip(
    name: str = "embedded",
    *,
    pretrained: str | None = None,
    precision: str = "fp32",
    device: str | None = None,
) -> CLIPBackbone:
    """`dense.backbones.load` on the GPU of this process if there is one."""
    return load(name, pretrained=pretrained, device=device or default_device(), precision=precision)


def segmentor(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    method: str | None = None,
    settings: Mapping[str, Setting] | None = None,
    protocol: str = "whole",
    short_side: int | Literal["original"] | None = None,
    crop: int | None = None,
    stride: int | None = None,
    logit_scale: float | None = None,
    threshold: Threshold | None = None,
    refine: Sequence[str] | None = None,
    batch_size: int = 4,
    cache_dir: str | None = None,
) -> OpenVocabSegmentor:
    """An `OpenVocabSegmentor` on a data set's classes.

    Args:
        backbone: The CLIP.
        classes: Class names in the data set's order, see `dense.engine.data.class_names`.
        background: Words of the data set's background class, which must come first.
        words: What to call a class in the prompts, by its name; synonyms after semicolons.
        templates: Name of a template set.
        method: A "segment" method of `dense methods`; ``None`` is the last block that the
            checkpoint recommends.
        settings: The method's own settings.
        protocol: A preset of `dense.methods.segmentation.protocol`; the values below replace its
            own where they are given.
        short_side: In pixels or ``"original"``; with the protocol ``"whole"``, ``None`` is the
            checkpoint's recommendation.
        crop: Side of sliding windows.
        stride: Their step.
        logit_scale: From similarity to logits.
        threshold: Probability below which a pixel is background, or ``"otsu"``.
        refine: Post-processing steps in order, see `dense.refine`.
        batch_size: Images or windows at once.
        cache_dir: Where text weights are kept.
    """
    classifier = vocabulary(
        backbone,
        classes,
        background=background,
        words=words,
        templates=templates,
        cache_dir=cache_dir,
    )
    preset = advised_protocol(backbone, find_protocol(protocol))
    chosen = preset.changed(
        short_side=short_side,
        crop=crop,
        stride=stride,
        logit_scale=logit_scale,
        threshold=threshold,
        refine=refine,
    )
    return build_segmentor(
        backbone, classifier, method, protocol=chosen, batch_size=batch_size, settings=settings
    )


def vocabulary(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    cache_dir: str | None = None,
) -> TextClassifier:
    """The classifier of a data set's classes; arguments as `segmentor`."""
    called, names = dict(words or {}), list(classes)
    if background and names and names[0] == "background":
        names = names[1:]
    class_list = make_class_list([called.get(name, name) for name in names], background)
    return build_text_classifier(backbone, class_list, templates=templates, cache_dir=cache_dir)


def inspector(
    backbone: CLIPBackbone,
    products: str | Mapping[str, str],
    *,
    protocol: WindowProtocol = PAPER,
    input_size: Size | None = None,
    batch_size: int = 8,
) -> WinCLIPInspector:
    """An `WinCLIPInspector`; `input_size` may come as a list."""
    size = None if input_size is None else (input_size[0], input_size[1])
    return WinCLIPInspector(
        backbone, products, protocol=protocol, input_size=size, batch_size=batch_size
    )


def inspection_method(
    name: str,
    backbone: CLIPBackbone,
    products: str | Mapping[str, str],
    *,
    shots: int = 0,
    look_for: Sequence[str] = (),
    ignore: Sequence[str] = (),
    weights: str | None = None,
    batch_size: int = 8,
) -> Inspector:
    """An "inspect" method of `dense methods` with its own defaults.

    Args:
        name: Of the method.
        backbone: The CLIP.
        products: Words for the one product, or words by category.
        shots: Whether support pictures will come; the hook of `support` brings them.
        look_for: Words to look for, for methods that read words.
        ignore: Words to ignore.
        weights: File of the learned parts, for trained methods.
        batch_size: Images at once.
    """
    method: Inspector = find_method(name, "inspect").builder()(
        backbone, products, shots=shots, batch_size=batch_size, weights=weights
    )
    words = StateWords(tuple(look_for), tuple(ignore))
    return method.steer(words) if words else method


def stuff_words(dataset: object) -> dict[str, str]:
    """Words for class names such as ``wall-brick`` ("brick wall") and ``sky-other`` ("sky")."""
    words = {}
    for name in class_names(dataset):
        head, _, kind = name.partition("-")
        words[name] = head if kind in ("", "other") else f"{kind} {head}"
    return words
