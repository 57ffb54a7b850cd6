"""Methods put together from a backbone and words, for configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from dense.backbones import CLIPBackbone, last_block, load
from dense.classifier import build_text_classifier
from dense.engine.data import class_names
from dense.engine.model import default_device
from dense.methods.anomaly.winclip import PAPER, WinCLIPInspector, WindowProtocol
from dense.methods.segmentor import OpenVocabSegmentor
from dense.prompts import make_class_list
from dense.structures import Size


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
    attention: str | None = None,
    residual: bool = True,
    feed_forward: bool = True,
    short_side: int | Literal["original"] | None = None,
    crop: int | None = None,
    stride: int | None = None,
    threshold: float = 0.0,
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
        attention: Name of the last block's attention (``"value"`` is MaskCLIP); ``None`` takes
            the whole last block as the checkpoint recommends.
        residual: Keep the last block's residual connection, with a named attention.
        feed_forward: Keep its feed-forward part, with a named attention.
        short_side: In pixels, ``"original"``, or ``None`` for the checkpoint's recommendation.
        crop: Side of sliding windows.
        stride: Their step.
        threshold: Probability below which a pixel is background.
        batch_size: Images or windows at once.
        cache_dir: Where text weights are kept.
    """
    called = dict(words or {})
    names = list(classes)
    if background and names and names[0] == "background":
        names = names[1:]
    class_list = make_class_list([called.get(name, name) for name in names], background)
    classifier = build_text_classifier(
        backbone, class_list, templates=templates, cache_dir=cache_dir
    )
    block = backbone.recommended.block
    if attention is not None:
        block = last_block(attention, residual=residual, feed_forward=feed_forward)
    side = backbone.recommended.short_side if short_side is None else short_side
    return OpenVocabSegmentor(
        backbone,
        classifier,
        block=block,
        short_side=None if side == "original" else side,
        crop=crop,
        stride=stride,
        threshold=threshold,
        centring=backbone.recommended.centring if attention is None else 0.0,
        batch_size=batch_size,
    )


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


def stuff_words(dataset: object) -> dict[str, str]:
    """Words for class names such as ``wall-brick`` ("brick wall") and ``sky-other`` ("sky")."""
    words = {}
    for name in class_names(dataset):
        head, _, kind = name.partition("-")
        words[name] = head if kind in ("", "other") else f"{kind} {head}"
    return words
