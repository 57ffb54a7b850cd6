"""Templates, class lists and the prompts of WinCLIP."""

import pytest

from dense.errors import InputError
from dense.prompts import (
    ANOMALIB_TEMPLATES,
    INSPECTION_TEMPLATES,
    ClassList,
    anomaly_prompts,
    fill,
    make_class_list,
    readable_name,
    template_set,
)


@pytest.mark.parametrize(("name", "count"), [("imagenet", 80), ("short", 7), ("plain", 1)])
def test_template_sets(name: str, count: int) -> None:
    templates = template_set(name)
    assert len(templates) == len(set(templates)) == count
    assert all(template.count("{}") == 1 for template in templates)


def test_short_templates_are_among_the_80() -> None:
    assert set(template_set("short")) <= set(template_set("imagenet"))


def test_no_template_is_the_words_alone() -> None:
    assert fill(template_set("none"), "a red car") == ["a red car"]


def test_unknown_template_set() -> None:
    with pytest.raises(InputError, match=r"unknown template set 'imagnet'.*imagenet"):
        template_set("imagnet")


def test_braces_in_words_are_words() -> None:
    assert fill(("a {}.",), "{0} {x}") == ["a {0} {x}."]


# --- anomaly prompts -----------------------------------------------------------------------------


def test_counts_of_both_ensembles() -> None:
    assert [len(p) for p in anomaly_prompts("nut")] == [154, 88]
    assert [len(p) for p in anomaly_prompts("nut", "anomalib")] == [147, 84]
    assert len(set(INSPECTION_TEMPLATES)) == 22
    assert (len(ANOMALIB_TEMPLATES), len(set(ANOMALIB_TEMPLATES))) == (21, 20)


def test_states_and_templates_cross() -> None:
    normal, anomalous = anomaly_prompts("metal_nut")
    assert "a photo of a metal nut." in normal
    assert "a blurry photo of the flawless metal nut." in normal
    assert "a photo of the metal nut without damage for visual inspection." in normal
    assert "a cropped photo of the damaged metal nut." in anomalous
    assert "a photo of a small metal nut with defect." in anomalous
    assert not set(normal) & set(anomalous)
    assert all("metal_nut" not in prompt for prompt in (*normal, *anomalous))


def test_the_22_templates() -> None:
    frames = ("cropped ", "close-up ", "bright ", "dark ", "jpeg corrupted ", "blurry ", "")
    expected = {f"a {frame}photo of {a} {{}}." for frame in frames for a in ("a", "the")}
    for article in ("a", "the"):
        expected |= {f"a photo of {article} {size} {{}}." for size in ("small", "large")}
        expected.add(f"a photo of {article} {{}} for visual inspection.")
        expected.add(f"a photo of {article} {{}} for anomaly detection.")
    assert set(INSPECTION_TEMPLATES) == expected


@pytest.mark.parametrize("product", ["", "  ", "_"])
def test_blank_product(product: str) -> None:
    with pytest.raises(InputError, match="product name is blank"):
        anomaly_prompts(product)


def test_unknown_ensemble() -> None:
    with pytest.raises(InputError, match=r"unknown prompt ensemble 'winclp'.*winclip"):
        anomaly_prompts("nut", "winclp")  # type: ignore[arg-type]


# --- class lists ---------------------------------------------------------------------------------


def test_synonyms_and_background() -> None:
    got = make_class_list(["sofa; couch ", " dog"], background=["wall", " ", "floor"])
    assert got.names == ("background", "sofa", "dog")
    assert got.phrases == (("wall", "floor"), ("sofa", "couch"), ("dog",))
    assert got.background == 0
    assert make_class_list(["dog"]).background is None


@pytest.mark.parametrize("name", ["猫", "кошка", "قطة", "naïve café", "🐈"])
def test_any_script_is_a_name(name: str) -> None:
    assert make_class_list([name]).names == (name,)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "class list is empty"),
        (["dog", " "], "a class name is blank"),
        (["dog", ";"], "a class name is blank"),
        (["dog", "cat", "Dog"], "named twice: dog"),
        (["dog; hound", "dog"], "named twice: dog"),
    ],
)
def test_bad_class_lists(classes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_class_list(classes)


def test_bad_values() -> None:
    with pytest.raises(InputError, match="class list is empty"):
        ClassList((), ())
    with pytest.raises(InputError, match="at least one phrase"):
        ClassList(("dog",), ((),))


def test_a_class_named_like_the_background() -> None:
    with pytest.raises(InputError, match="named twice: background"):
        make_class_list(["background"], background=["wall"])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("wall-brick", "brick wall"),
        ("tree-merged", "tree"),
        ("dining_table", "dining table"),
        ("tv", "television"),
        ("window-blind", "window blind"),
        ("dog", "dog"),
    ],
)
def test_readable_names(label: str, words: str) -> None:
    assert readable_name(label) == words
