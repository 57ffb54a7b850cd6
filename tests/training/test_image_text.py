"""Image-text training: toy overfit, every term present, exact repetition, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.image_text import ImageTextTraining
from dense.methods.text_distillation import Phrase, TextDistillation
from dense.training.context import LabelPrior, run_mixed
from dense.training.datasets import Joined, PicturePairs, WithPairs
from dense.training.items import PairItem, TrainingItem, WindowTokens
from dense.training.settings import StepSettings, Terms
from dense.training.state_terms import GENERIC, StateTerms, StateWeights
from dense.training.states import DefectPairs, StatePair, draw_windows, foreground
from dense.training.student import build_student, run_suffix
from dense.training.teacher_targets import TeacherTargets, class_classifiers
from dense.training.text_table import StateTable, TextTable
from dense.training.views import View, ViewRule, centre_view
from tests.helpers import photo
from tests.training.made import SHAPE, tiny_sentences, tiny_teacher

ALL = Terms(
    teacher=1, classes=1, captions=1, mimicry=1, regression=1, dense=1, dense_mimicry=1,
    dense_regression=1, mil=1, words=1, values=1, states=1, anchor=1,
)  # fmt: skip
NAMES = ("screw", "tile")


def build(terms: Terms, **settings: object) -> ImageTextTraining:
    encode = tiny_sentences().encode
    teacher = tiny_teacher()
    classifiers = class_classifiers(encode, ["a", "b", "c", "d", "e"], ["the {}"])
    states = StateTerms(StateTable(encode, [*GENERIC, *NAMES]), StateWeights(window=1.0), keep=9)
    return ImageTextTraining(
        build_student(SHAPE),
        terms,
        StepSettings(start=1, keep=9, scale=20.0, **settings),  # type: ignore[arg-type]
        texts=TextTable(encode, ["cat", "dog", "a red car", "two cars", "sky"]),
        class_names=("cat", "dog"),
        teacher=TeacherTargets(teacher.codebook, classifiers, teacher=teacher),
        words=encode(["sky", "car"])[None],
        states=states,
    )


def items() -> list[TrainingItem]:
    words = {
        "word_index": torch.zeros(16, 2, dtype=torch.int64),
        "word_weight": torch.full((16, 2), 0.5),
    }
    pair = DefectPairs(1, side=32)[0]
    images = np.stack([pair.normal, pair.damaged])
    windows = WindowTokens(torch.randn(2, 3, 5, 64), torch.tensor([0.0, 0.05, 0.9]))
    made = PairItem("tile", pair.kind, pair.coverage((4, 4)), images=images, windows=(windows,))
    return [
        TrainingItem(("cat",), "class", image=photo(32, 32, 1), **words),
        TrainingItem(("dog",), "class", image=photo(32, 32, 2)),
        TrainingItem(("a red car", "two cars"), "caption", image=photo(32, 32, 3), pair=made),
        TrainingItem(("sky",), "tags", image=photo(32, 32, 4), **words),
    ]


def test_every_term_is_there_and_learns() -> None:
    method = build(ALL)
    found = method.loss(items())
    expected = {
        "teacher", "classes", "captions", "mimicry", "regression", "dense", "dense_mimicry",
        "dense_regression", "mil", "words", "dense_values", "dense_regression_values", "anchor",
        "words_values",
        "state_patch", "state_token", "state_ranking", "state_typed", "state_window_5",
    }  # fmt: skip
    assert set(found) == {f"loss_{name}" for name in expected}
    assert float(found["loss_anchor"]) == pytest.approx(0.0, abs=1e-6)
    sum(found.values()).backward()  # type: ignore[union-attr]
    learns = {name for name, p in method.named_parameters() if p.requires_grad}
    idle = {n for n, p in method.named_parameters() if p.requires_grad and p.grad is None}
    assert not idle
    assert not any("resblocks.0" in name or "token_embedding" in name for name in learns)
    assert "log_scale" in learns and "states.log_scale" in learns
    assert not any(name.startswith(("texts", "teacher")) for name in method.state_dict())


def test_toy_overfit() -> None:
    method, batch = build(Terms(classes=1, states=1)), items()
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=3e-3)
    rows = []
    for _ in range(16):
        found = method.loss(batch)
        total = torch.stack(list(found.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        rows.append((float(found["loss_classes"].detach()), float(total.detach())))
    assert rows[-1][0] < 0.5 * rows[0][0]
    assert np.mean(rows[-4:], axis=0)[1] < 0.97 * np.mean(rows[:4], axis=0)[1]


def test_a_step_depends_on_its_number_and_seed_alone() -> None:
    batch = items()
    first, again, other = build(ALL), build(ALL), build(ALL, seed=1)
    values = [float(sum(m.loss(batch).values())) for m in (first, again, other)]  # type: ignore[arg-type]
    assert values[0] == values[1] != values[2]
    assert int(first.step) == 1
    resumed = build(ALL)
    resumed.load_state_dict(first.state_dict())
    torch.randn(7)  # other uses of the global generator do not matter
    expected = first.loss(batch)
    for name, value in resumed.loss(batch).items():
        torch.testing.assert_close(value, expected[name])


def test_cached_tokens_and_pictures_agree() -> None:
    method, batch = build(Terms(classes=1)), items()[:2]
    tokens, _ = method._tokens(batch)
    cached = [
        replace(item, image=None, tokens=row) for item, row in zip(batch, tokens, strict=True)
    ]
    before = method.loss(batch)["loss_classes"]
    method.step.zero_()
    torch.testing.assert_close(method.loss(cached)["loss_classes"], before)
    with pytest.raises(InputError, match="pictures alone or cached tokens alone"):
        method.loss([batch[0], cached[1]])


def test_bf16_and_checkpointing_stay_close() -> None:
    batch = items()
    plain = build(Terms(classes=1, dense=1)).loss(batch)
    cheap = build(Terms(classes=1, dense=1), precision="bf16", checkpointing=True).loss(batch)
    for name, value in plain.items():
        torch.testing.assert_close(cheap[name], value, rtol=0.05, atol=0.05)


def test_terms_need_their_sources() -> None:
    backbone = build_student(SHAPE)
    for terms, name in (
        (Terms(dense=1), "teacher"),
        (Terms(states=1), "states"),
        (Terms(words=1), "words"),
        (Terms(classes=1), "class_names"),
    ):
        with pytest.raises(InputError, match=f"need {name}"):
            ImageTextTraining(backbone, terms)
    with pytest.raises(InputError, match="fp32 or bf16"):
        ImageTextTraining(backbone, Terms(captions=1), StepSettings(precision="fp8"))


def test_cached_items_need_codes() -> None:
    method = build(Terms(teacher=1))
    bare = [TrainingItem(("cat",), "class", tokens=torch.randn(17, 64)) for _ in range(2)]
    with pytest.raises(InputError, match="must carry the teacher's codes"):
        method.loss(bare)


def test_text_tower_can_learn() -> None:
    backbone = build_student(SHAPE)
    settings = StepSettings(start=2, text=True)
    method = ImageTextTraining(backbone, Terms(captions=1), settings)
    method.loss(items())["loss_captions"].backward()
    assert backbone.model.token_embedding.weight.grad is not None


def test_finished_carries_the_scale() -> None:
    method = build(Terms(classes=1))
    with torch.no_grad():
        method.log_scale.fill_(3.0)
    assert method.finished().logit_scale == pytest.approx(float(np.exp(3.0)))
    assert method.describe()["classes"] == 1


def test_text_distillation_overfits() -> None:
    backbone: CLIPBackbone = build_student(SHAPE)
    targets = torch.nn.functional.normalize(torch.randn(4, 8), dim=-1)
    tokens = backbone.tokenizer(["a cat", "a dog", "a red car", "sky"])
    batch = [Phrase(t, y) for t, y in zip(tokens, targets, strict=True)]
    method = TextDistillation(backbone, table=True)
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(30):
        found = method.loss(batch)
        optimiser.zero_grad()
        (found["loss_cosine"] + found["loss_relational"]).backward()
        optimiser.step()
    assert float(found["cosine"]) > 0.9
    assert method.agreement(["a cat", "a dog"], targets[:2]) > 0.8
    with pytest.raises(InputError, match="fp32 or bf16"):
        TextDistillation(backbone, precision="fp16")


def test_items_hold_one_kind_of_input() -> None:
    with pytest.raises(InputError, match="either a picture or cached tokens"):
        TrainingItem(("x",), "class")
    with pytest.raises(InputError, match="either a picture or cached tokens"):
        PairItem("x", "dent", torch.zeros(1))
    with pytest.raises(InputError, match="at least one text"):
        TrainingItem((), "class", image=photo(8, 8))


def test_pairs_are_numbered() -> None:
    pairs = DefectPairs(3, side=48, seed=5)
    first, again = pairs[1], pairs[1]
    np.testing.assert_array_equal(first.damaged, again.damaged)
    assert first.name in pairs.names
    changed = (first.normal != first.damaged).any(-1)
    assert changed[first.mask].mean() > 0.5
    with pytest.raises(InputError, match="1 or more"):
        DefectPairs(0)


def test_coverage_is_the_share_of_a_patch() -> None:
    mask = np.zeros((16, 16), bool)
    mask[:8, :4] = True
    pair = StatePair(photo(16, 16), photo(16, 16), mask, "x", "dent")
    assert pair.coverage((2, 2)).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_windows_lie_over_the_damage() -> None:
    coverage = torch.zeros(36)
    coverage[14] = 1.0
    generator = torch.Generator().manual_seed(0)
    windows = draw_windows(coverage, (6, 6), 2, 4, generator)
    assert windows.shape == (4, 4)
    assert all(14 in row for row in windows[:3].tolist())
    rows, columns = windows // 6, windows % 6
    assert int((rows.amax(1) - rows.amin(1)).max()) == 1
    assert int((columns.amax(1) - columns.amin(1)).max()) == 1


def test_foreground_before_an_even_background() -> None:
    picture = np.full((40, 40, 3), 200, np.uint8)
    picture[10:30, 10:30] = 20
    assert foreground(picture).sum() == 400
    assert foreground(photo(40, 40)).dtype == np.bool_


def test_every_nth_item_has_a_pair() -> None:
    batch = items()
    pairs = PicturePairs(DefectPairs(2, side=32), (4, 4))
    joined = WithPairs(Joined([batch] * 50), pairs, every=5)  # type: ignore[list-item]
    share = np.mean([joined[i].pair is not None for i in range(len(joined)) if joined.with_pair[i]])
    assert share == 1.0
    assert 0.1 < float(joined.with_pair.float().mean()) < 0.3
    with pytest.raises(InputError, match="1 or more"):
        WithPairs(Joined([batch]), pairs, every=0)  # type: ignore[list-item]
    with pytest.raises(IndexError):
        Joined([batch])[4]  # type: ignore[list-item]


def test_views() -> None:
    rule = ViewRule((0.5, 1.0), seed=2)
    assert rule((30, 40), 7) == rule((30, 40), 7) != rule((30, 40), 8)
    for index in range(20):
        view = rule((30, 40), index)
        assert 15 <= view.side <= 30
        assert 0 <= view.x <= 40 - view.side and 0 <= view.y <= 30 - view.side
    image = photo(30, 40)
    middle = centre_view((30, 40)).render(image, 30)
    np.testing.assert_array_equal(middle, image[:, 5:35])
    np.testing.assert_array_equal(View(5, 0, 30, True).render(image, 30), middle[:, ::-1])


def test_mixed_steps_learn_from_patches_alone() -> None:
    method, batch = build(replace(ALL, anchor=0.0), mix=1.0), items()
    found = method.loss(batch)
    assert "loss_dense" in found and "loss_words" in found and "loss_state_patch" in found
    assert not {"loss_teacher", "loss_classes", "loss_captions"} & set(found)
    assert "loss_classes" in build(Terms(classes=1), mix=1.0).loss(batch)


def test_mixing_puts_patches_back() -> None:
    method = build(Terms(classes=1))
    vit = method.backbone.vit
    tokens = torch.randn(1, 17, 64).expand(3, -1, -1)  # equal pictures: mixing changes nothing
    generator = torch.Generator().manual_seed(0)
    mixed = run_mixed(vit, tokens, 1, generator, values=True, precision="fp32")
    plain = run_suffix(vit, tokens, 1, values=True)
    torch.testing.assert_close(mixed.patches, plain.patches)
    torch.testing.assert_close(mixed.values, plain.values)
    distinct = torch.randn(2, 17, 64)
    end = vit.num_blocks  # after the last block every token stands alone
    mixed = run_mixed(vit, distinct, end, generator, values=False, precision="fp32")
    torch.testing.assert_close(mixed.patches, run_suffix(vit, distinct, end).patches)


def test_label_prior_counts() -> None:
    prior = LabelPrior(2)
    torch.testing.assert_close(prior.log(), torch.tensor([0.55, 0.55]).log())
    prior.update(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    torch.testing.assert_close(prior.share, torch.tensor([0.75, 0.25]))
    prior.update(torch.tensor([[1.0, 3.0]]))
    torch.testing.assert_close(prior.share, torch.tensor([0.5, 0.5]))
    prior.update(torch.zeros(1, 2))
    assert int(prior.seen) == 2


def test_adjusted_losses_are_plain_at_even_frequencies() -> None:
    batch = items()
    plain = build(Terms(classes=1)).loss(batch)["loss_classes"]
    adjusted = build(Terms(classes=1), adjust=True).loss(batch)["loss_classes"]
    torch.testing.assert_close(adjusted, plain)  # one cat, one dog
    skewed = [replace(item, texts=("cat",), kind="class") for item in batch[:2]]
    assert (
        build(Terms(classes=1), adjust=True).loss(skewed)["loss_classes"]
        < build(Terms(classes=1)).loss(skewed)["loss_classes"]
    )
