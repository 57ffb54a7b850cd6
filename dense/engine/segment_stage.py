"""What training configs of segmentation methods build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dense.backbones import CLIPBackbone
from dense.engine.factories import vocabulary
from dense.engine.head_segmentor import HeadSegmentor, HeadSettings, MaskCLIPPlus, read_head
from dense.errors import InputError
from dense.methods.segmentation.dinoiser import DinoiserSettings
from dense.methods.segmentation.dinoiser_training import DinoiserTraining
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.methods.segmentor import build_segmentor
from dense.providers import find_provider
from dense.structures import TextClassifier


def dinoiser_student(
    backbone: CLIPBackbone,
    *,
    teacher: str = "clip",
    teacher_weights: str | None = None,
    settings: DinoiserSettings | None = None,
    side: int = 448,
) -> DinoiserTraining:
    """CLIP-DINOiser's convolutions in training.

    Args:
        backbone: The CLIP.
        teacher: A provider's name, see `dense.providers.find_provider`.
        teacher_weights: File of its weights.
        settings: Of the method.
        side: Pictures are resized to this square.
    """
    provider = find_provider(teacher, backbone, teacher_weights)
    return DinoiserTraining(backbone, provider, settings=settings, side=side)


def head_student(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    name: str,
    kind: str,
    layers: Sequence[float | int] = (1.0,),
    channels: int = 256,
    side: int = 448,
    templates: str = "imagenet",
    background: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
) -> HeadSegmentor:
    """A decode head in training on a frozen CLIP.

    Args:
        backbone: The CLIP.
        classes: Class names in the data set's order.
        name: Of the method, in the catalogue.
        kind: See `dense.engine.decode_heads.make_head`.
        layers: Blocks that the head reads.
        channels: Inner width.
        side: Pictures are resized to this square.
        templates: For the classes' texts.
        background: Words of the class "background", which must come first.
        words: What to call a class in the prompts.
    """
    classifier = vocabulary(
        backbone, classes, background=background, words=words, templates=templates
    )
    settings = HeadSettings(classifier.class_names, kind, tuple(layers), channels, side)
    return HeadSegmentor(backbone, settings, classifier, name=name)


def maskclip_plus_student(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    guided: int,
    layers: Sequence[float | int] = (1.0,),
    channels: int = 256,
    side: int = 448,
    templates: str = "imagenet",
    background: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    teacher: str | None = "maskclip-refined",
    least: float = 0.0,
) -> MaskCLIPPlus:
    """MaskCLIP+ in training.

    Args:
        backbone: The CLIP.
        classes: Class names in the data set's order.
        guided: Steps with the teacher's labels.
        layers: Blocks that the head reads.
        channels: Inner width.
        side: Pictures are resized to this square; the teacher sees this short side.
        templates: For the classes' texts.
        background: Words of the class "background", which must come first.
        words: What to call a class in the prompts.
        teacher: A "segment" method; ``None`` is the last block that the checkpoint recommends.
        least: Pixels whose label is less probable are ignored.
    """
    classifier = vocabulary(
        backbone, classes, background=background, words=words, templates=templates
    )
    protocol = WHOLE.changed(short_side=side)
    guide = build_segmentor(backbone, classifier, teacher, protocol=protocol)
    settings = HeadSettings(classifier.class_names, "aspp", tuple(layers), channels, side)
    return MaskCLIPPlus(backbone, settings, guide, guided=guided, least=least)


def _built(name: str) -> Callable[..., HeadSegmentor]:
    """The catalogue's build function of a head."""

    def build(
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        protocol: SegmentProtocol = WHOLE,
        batch_size: int = 4,
        weights: str | None = None,
    ) -> HeadSegmentor:
        """The head from its file, at its own input size.

        Raises:
            InputError: If the protocol asks for what a head has not, or as `read_head`.
        """
        if protocol.crop or protocol.logit_scale or protocol.threshold or protocol.refine:
            raise InputError(
                f"{name} sees whole pictures and decides by itself: it takes no windows, logit "
                f"scale, threshold or post-processing, got the protocol {protocol.name!r}"
            )
        return read_head(name, backbone, classifier, weights, batch_size)

    return build


build_maskclip_plus = _built("maskclip-plus")
build_linear = _built("linear-head")
build_uper = _built("uper-head")
build_mask_text = _built("mask-text-head")
