"""Laws of `WinCLIPInspector`; its numbers are held against anomalib in another file."""

import numpy as np
import pytest
import torch

from dense.backbones import CLIPBackbone
from dense.errors import InputError, NotFittedError
from dense.heads.memory import association
from dense.methods.anomaly.winclip import ANOMALIB, PAPER, WinCLIPInspector, WindowProtocol
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def samples(count: int, category: str = "", first: int = 0) -> list[Sample]:
    return [Sample(photo(40, 50, seed=first + k), category=category) for k in range(count)]


def test_zero_shot_by_hand(backbone: CLIPBackbone) -> None:
    """The paper's equations in plain loops over patches and windows."""
    sample = Sample(photo(32, 32))
    inspector = WinCLIPInspector(backbone, "metal nut", protocol=WindowProtocol(temperature=0.07))
    weights = inspector.state_weights()
    tensor = backbone.preprocess.to_tensor(sample.image)[None]
    visual = backbone.model.visual

    def anomalous(feature: torch.Tensor) -> float:
        unit = feature / feature.norm()
        return float((weights @ unit / 0.07).softmax(0)[1])

    with torch.inference_mode():
        tokens = visual._embeds(tensor)
        image = anomalous(visual(tensor)[0])
        inverse = np.zeros((3, 4, 4))
        inverse[0] = 1 / image
        for scale, side in ((1, 2), (2, 3)):
            sums, counts = np.zeros((4, 4)), np.zeros((4, 4))
            for y in range(5 - side):
                for x in range(5 - side):
                    kept = [0] + [1 + (y + a) * 4 + x + b for a in range(side) for b in range(side)]
                    out = visual.ln_post(visual.transformer(tokens[:, kept]))[0, 0]
                    sums[y : y + side, x : x + side] += 1 / anomalous(out @ visual.proj)
                    counts[y : y + side, x : x + side] += 1
            inverse[scale] = sums / counts
    expected = torch.tensor(3 / inverse.sum(0))
    full = torch.nn.functional.interpolate(
        expected[None, None], (32, 32), mode="bilinear", align_corners=False
    )
    (got,) = inspector.predict([sample])
    assert np.ptp(expected.numpy()) > 0.01
    assert got.score == pytest.approx(image, abs=1e-5)
    np.testing.assert_allclose(got.anomaly_map, full[0, 0].numpy(), atol=1e-5)


def test_maps_have_the_original_size(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, "nut")
    for size in ((40, 50), (1, 1), (7, 200)):
        (got,) = inspector.predict([Sample(photo(*size))])
        assert got.anomaly_map.shape == size
        assert got.anomaly_map.dtype == np.float32
        assert ((got.anomaly_map >= 0) & (got.anomaly_map <= 1)).all()
        assert 0 <= got.score <= 1


@pytest.mark.parametrize("fitted", [False, True])
def test_batch_size_changes_nothing(backbone: CLIPBackbone, fitted: bool) -> None:
    results = []
    for batch_size in (1, 2, 8):
        inspector = WinCLIPInspector(backbone, "nut", batch_size=batch_size)
        if fitted:
            inspector.fit(samples(3, first=10))
        results.append(inspector.predict(samples(5)))
    for others in results[1:]:
        for a, b in zip(results[0], others, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-5)
            np.testing.assert_allclose(a.anomaly_map, b.anomaly_map, atol=1e-5)


def test_prediction_does_not_depend_on_neighbours(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, "nut").fit(samples(2, first=10))
    pictures = samples(3)
    forward, backward = inspector.predict(pictures), inspector.predict(pictures[::-1])[::-1]
    for a, b in zip(forward, backward, strict=True):
        assert a.score == pytest.approx(b.score, abs=1e-6)


@pytest.mark.parametrize("protocol", [PAPER, ANOMALIB])
def test_a_support_image_is_at_distance_zero_from_itself(
    backbone: CLIPBackbone, protocol: WindowProtocol
) -> None:
    pictures = samples(3)
    inspector = WinCLIPInspector(backbone, "nut", protocol=protocol).fit(pictures)
    memory = inspector.memory()
    with torch.inference_mode():
        features = inspector.extract(pictures[1:2])
        assert association(features.patches, memory.patches).max() < 1e-6
        for window, bank in zip(features.windows, memory.windows, strict=True):
            assert association(window, bank).max() < 1e-6
    zero_shot = WinCLIPInspector(backbone, "nut", protocol=protocol).predict(pictures)
    for fitted, text in zip(inspector.predict(pictures), zero_shot, strict=True):
        assert fitted.score == pytest.approx(text.score / 2, abs=1e-5)
        np.testing.assert_allclose(fitted.anomaly_map, text.anomaly_map / 2, atol=1e-5)


def test_more_support_never_raises_the_distance(backbone: CLIPBackbone) -> None:
    support, pictures = samples(4, first=10), samples(3)
    few = WinCLIPInspector(backbone, "nut").fit(support[:1]).predict(pictures)
    many = WinCLIPInspector(backbone, "nut").fit(support).predict(pictures)
    for a, b in zip(few, many, strict=True):
        assert b.score <= a.score + 1e-6
        assert (b.anomaly_map <= a.anomaly_map + 1e-6).all()
    twice = WinCLIPInspector(backbone, "nut").fit([*support, *support[::-1]]).predict(pictures)
    for a, b in zip(many, twice, strict=True):
        np.testing.assert_allclose(a.anomaly_map, b.anomaly_map, atol=1e-6)


def test_memory_shapes(backbone: CLIPBackbone) -> None:
    memory = WinCLIPInspector(backbone, "nut").fit(samples(3)).memory()
    assert memory.patches.shape == (3 * 16, 32)
    assert [tuple(bank.shape) for bank in memory.windows] == [(3 * 9, 16), (3 * 4, 16)]
    torch.testing.assert_close(memory.patches.norm(dim=1), torch.ones(48))
    assert memory.shots == 3


# --- products and categories ---------------------------------------------------------------------


def test_each_category_has_its_words_and_memory(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, {"nut": "metal nut", "board": "wooden board"})
    inspector.fit(samples(2, "nut", first=10))
    nut, board, other = (
        inspector.predict(samples(1, category))[0] for category in ("nut", "board", "grid_2")
    )
    alone = WinCLIPInspector(backbone, "wooden board").predict(samples(1))[0]
    assert board.score == pytest.approx(alone.score, abs=1e-6)
    fitted = WinCLIPInspector(backbone, "metal nut").fit(samples(2, first=10))
    assert nut.score == pytest.approx(fitted.predict(samples(1))[0].score, abs=1e-6)
    named = WinCLIPInspector(backbone, "grid 2").predict(samples(1))[0]
    assert other.score == pytest.approx(named.score, abs=1e-6)


def test_one_product_for_every_category(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, "nut")
    a, b = inspector.predict([*samples(1), *samples(1, "anything")])
    assert a.score == pytest.approx(b.score, abs=1e-6)


def test_a_mixed_batch_equals_its_parts(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, {"a": "nut", "b": "wood"})
    inspector.fit([*samples(2, "a", 10), *samples(1, "b", 20)])
    mixed = inspector.predict([*samples(2, "a"), *samples(2, "b", 2)])
    parts = [*inspector.predict(samples(2, "a")), *inspector.predict(samples(2, "b", 2))]
    for got, expected in zip(mixed, parts, strict=True):
        assert got.score == pytest.approx(expected.score, abs=1e-5)
    assert inspector.memory("a").shots == 2
    assert inspector.memory("b").shots == 1


def test_fit_replaces_only_what_occurs(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, {"a": "nut", "b": "wood"})
    inspector.fit([*samples(2, "a"), *samples(2, "b")])
    kept = inspector.memory("b").patches
    inspector.fit(samples(1, "a"))
    assert inspector.memory("a").shots == 1
    assert inspector.memory("b").patches is kept


# --- thresholds, settings, errors ----------------------------------------------------------------


def test_nothing_is_decided_without_a_threshold(backbone: CLIPBackbone) -> None:
    (got,) = WinCLIPInspector(backbone, "nut").predict(samples(1))
    assert got.mask is None
    assert got.is_anomalous is None


def test_threshold(backbone: CLIPBackbone) -> None:
    (plain,) = WinCLIPInspector(backbone, "nut").predict(samples(1))
    bound = float(np.median(plain.anomaly_map))
    (got,) = WinCLIPInspector(backbone, "nut", threshold=bound).predict(samples(1))
    assert np.array_equal(got.mask, plain.anomaly_map >= bound)
    assert got.is_anomalous == (plain.score >= bound)


def test_other_input_sizes_and_windows(backbone: CLIPBackbone) -> None:
    protocol = WindowProtocol(windows=(1, 2))
    inspector = WinCLIPInspector(backbone, "nut", protocol=protocol, input_size=(24, 56))
    assert inspector.grid == (3, 7)
    assert [tuple(index.shape) for index in inspector.windows] == [(21, 1), (12, 4)]
    (got,) = inspector.predict(samples(1))
    assert got.anomaly_map.shape == (40, 50)


def test_temperature_of_the_map(backbone: CLIPBackbone) -> None:
    sharp, soft = (
        WinCLIPInspector(backbone, "nut", protocol=WindowProtocol(temperature=t)).predict(
            samples(1)
        )[0]
        for t in (0.01, 1.0)
    )
    assert abs(soft.score - 0.5) < abs(sharp.score - 0.5)


def test_protocol_card(backbone: CLIPBackbone) -> None:
    inspector = WinCLIPInspector(backbone, "nut", protocol=ANOMALIB)
    card = inspector.describe()
    assert (card["method"], card["ensemble"], card["temperature"]) == ("WinCLIP", "anomalib", 0.07)
    assert card["shots"] == []
    card = inspector.fit(samples(2)).describe()
    assert (card["method"], card["shots"]) == ("WinCLIP+", [2])


def test_errors(backbone: CLIPBackbone) -> None:
    with pytest.raises(InputError, match=r"input_size must be a multiple of the patch \(8, 8\)"):
        WinCLIPInspector(backbone, "nut", input_size=(30, 32))
    with pytest.raises(InputError, match="window of 3 patches does not fit a grid"):
        WinCLIPInspector(backbone, "nut", input_size=(16, 16))
    with pytest.raises(InputError, match="product name is blank"):
        WinCLIPInspector(backbone, " ")
    inspector = WinCLIPInspector(backbone, "nut")
    with pytest.raises(InputError, match="no support images"):
        inspector.fit([])
    with pytest.raises(InputError, match="must be normal, but an image is labelled anomalous"):
        inspector.fit([Sample(photo(), label=1)])
    with pytest.raises(NotFittedError, match="call fit with normal samples first"):
        inspector.memory()
    assert inspector.predict([]) == []
