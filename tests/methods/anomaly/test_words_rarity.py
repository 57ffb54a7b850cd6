"""Words and rarity: what stands out in its own picture, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.heads.rarity import neighbours, rarity
from dense.methods.anomaly.patches import top_mean
from dense.methods.anomaly.scale import Scale
from dense.methods.anomaly.words_rarity import WordsRarityInspector, WordsRaritySettings
from dense.prompts import StateWords
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

SMALL = WordsRaritySettings(layers=(-2, -1), short_side=64, top=0.05, surfaces=2)


def make(**more) -> WordsRarityInspector:  # type: ignore[no-untyped-def]
    return WordsRarityInspector(tiny_backbone(), "nut", replace(SMALL, **more))


def test_rarity_alone_is_the_distance_within_the_picture_on_the_scale_of_surfaces() -> None:
    inspector = make(share=1.0)
    look = next(iter(inspector.look([Sample(photo(64, 64, 3))])))

    def far(look):  # type: ignore[no-untyped-def]
        near = neighbours(look.grid, 2)
        return torch.stack([rarity(rows, near, 4) for rows in look.rows()]).mean(0).view(look.grid)

    drawn = [far(one) for one in inspector._surfaces]
    scale = Scale.of(drawn, [top_mean(one, 0.05) for one in drawn])
    patch_map, score = inspector.score(look)
    torch.testing.assert_close(patch_map, (far(look) - scale.mean) / scale.spread)
    assert score == pytest.approx((top_mean(far(look), 0.05) - scale.score) / scale.spread)


def test_words_alone_is_the_text_score_on_the_scale_of_surfaces() -> None:
    inspector = make(share=0.0)
    look = next(iter(inspector.look([Sample(photo(64, 64, 3))])))
    logits, score = inspector._text_logits(look)
    texts = [inspector._text_logits(one) for one in inspector._surfaces]
    scale = Scale.of([one for one, _ in texts], [one for _, one in texts])
    found = inspector.score(look)
    torch.testing.assert_close(found[0], (logits - scale.mean) / scale.spread)
    assert found[1] == pytest.approx((score - scale.score) / scale.spread)


def test_a_spot_that_nothing_repeats_is_the_hottest() -> None:
    picture = np.tile(photo(16, 16, 0), (6, 6, 1))
    picture[32:48, 64:80] = photo(16, 16, 9)
    result = make(share=1.0, short_side=96, layers=(-1,)).predict([Sample(picture)])[0]
    row, column = np.unravel_index(result.anomaly_map.argmax(), result.anomaly_map.shape)
    assert 32 <= row < 48
    assert 64 <= column < 80


def test_a_result_does_not_depend_on_other_pictures() -> None:
    inspector = make()
    pictures = [Sample(photo(64, 64, seed)) for seed in range(3)]
    together = inspector.predict(pictures)[1]
    assert inspector.predict(pictures[1:2])[0].score == pytest.approx(together.score, abs=1e-4)


def test_other_words_change_the_score() -> None:
    inspector, picture = make(share=0.0), [Sample(photo(64, 64, 3))]
    before = inspector.predict(picture)[0].score
    steered = inspector.steer(StateWords(look_for=("rust",))).predict(picture)[0].score
    assert steered != pytest.approx(before, abs=1e-4)


def test_support_is_refused() -> None:
    with pytest.raises(InputError, match="takes no support images"):
        make().fit([Sample(photo(64, 64, 0), label=0)])


def test_the_card_tells_what_counts_and_nothing_of_memories() -> None:
    card = make(share=0.25, seed=3).describe()
    assert (card["share"], card["seed"]) == (0.25, 3)
    assert not {"coreset", "index", "shots"} & card.keys()


@pytest.mark.parametrize(
    "wrong", [{"share": 1.5}, {"neighbours": 0}, {"apart": 0}, {"surfaces": 0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="share must lie in"):
        replace(SMALL, **wrong)
