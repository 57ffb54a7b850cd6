"""How a segmentation is run: presets, changes, and the card that names them."""

from __future__ import annotations

import pytest

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.segmentation.protocol import (
    PROTOCOLS,
    SCLIP_FAMILY,
    TCL_FAMILY,
    WHOLE,
    SegmentProtocol,
    find_protocol,
)
from dense.methods.segmentor import OpenVocabSegmentor, build_segmentor
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone
from tests.methods.segmentation.made import words


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def test_presets() -> None:
    small, large = SCLIP_FAMILY, TCL_FAMILY
    assert (small.short_side, small.crop, small.stride, small.logit_scale) == (336, 224, 112, 40)
    assert (large.short_side, large.crop, large.stride, large.logit_scale) == (448, 448, 224, 100)
    assert find_protocol("whole") is WHOLE and set(PROTOCOLS) == {"whole", "sclip", "tcl"}
    with pytest.raises(InputError, match=r"unknown segmentation protocol 'slcip'.*sclip"):
        find_protocol("slcip")


def test_changes_show_in_the_name() -> None:
    assert SCLIP_FAMILY.changed() is not None and SCLIP_FAMILY.changed(crop=224).name == "sclip"
    changed = SCLIP_FAMILY.changed(short_side="original", threshold="otsu", refine=["pamr"])
    assert changed.name == "sclip, changed"
    assert (changed.short_side, changed.threshold, changed.refine) == (None, "otsu", ("pamr",))
    assert (changed.crop, changed.logit_scale) == (224, 40.0)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "ostu"])
def test_thresholds_that_are_none(threshold: object) -> None:
    with pytest.raises(InputError, match=r'a probability in \[0, 1\] or "otsu", got'):
        SegmentProtocol(threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="short_side must be 1 pixel or more, got -5"):
        SegmentProtocol(short_side=-5)


def test_card_names_all_that_changes_numbers(backbone: CLIPBackbone) -> None:
    from dense.classifier import build_text_classifier

    classifier = build_text_classifier(backbone, ["cat; kitten", "dog"], templates="plain")
    again = build_text_classifier(backbone, ["cat; kitten", "dog"], templates="short")
    other = build_text_classifier(backbone, ["cat", "dog"], templates="plain")
    protocol = SCLIP_FAMILY.changed(refine=["pamr", "vote"], threshold=0.1)
    card = build_segmentor(backbone, classifier, "resclip", protocol=protocol).describe()
    assert card["refine"] == ["pamr", "vote"]
    assert (card["logit_scale"], card["threshold"], card["templates"]) == (40.0, 0.1, "plain")
    assert (card["classes"], card["queries"], card["share"]) == (2, 3, 0.4)
    assert card["vocabulary"] == again.vocabulary != other.vocabulary


def test_scale_of_the_protocol_is_used(backbone: CLIPBackbone) -> None:
    """A smaller scale makes probabilities softer, and leaves the winners."""
    pictures = [Sample(photo(32, 32))]
    soft, sharp = (
        OpenVocabSegmentor(
            backbone, words(3), protocol=SegmentProtocol(short_side=32, logit_scale=scale)
        ).predict(pictures)[0]
        for scale in (5.0, 100.0)
    )
    assert (soft.class_map == sharp.class_map).all()
    assert soft.confidence.mean() < sharp.confidence.mean() - 0.1
