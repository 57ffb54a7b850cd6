"""Memory methods: laws, hand-worked values, files, and parity of PatchCore's score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dense.errors import InputError, NotFittedError
from dense.heads.foreground import foreground_mask
from dense.memory import ExactIndex
from dense.methods.anomaly.anomalydino import AnomalyDINOInspector, AnomalyDINOSettings
from dense.methods.anomaly.memory import MemoryInspector, MemorySettings
from dense.methods.anomaly.patchcore import (
    PatchCoreInspector,
    PatchCoreSettings,
    euclidean,
    reweighting,
)
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone
from tests.reference.memory_inputs import BANK, QUERIES

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "memory_anomalib.json").read_text()
)
SIZE = {"layers": (-2, -1), "short_side": 32}
KINDS = {
    "memory": lambda b, **more: MemoryInspector(b, "nut", MemorySettings(**SIZE, **more)),
    "patchcore": lambda b, **more: PatchCoreInspector(
        b, "nut", PatchCoreSettings(**SIZE, **{"coreset": 1.0, **more})
    ),
    "anomalydino": lambda b, **more: AnomalyDINOInspector(
        b, "nut", AnomalyDINOSettings(**SIZE, **more)
    ),
}


@pytest.fixture(autouse=True)
def inference():  # type: ignore[no-untyped-def]
    with torch.inference_mode():
        yield


def samples(*seeds: int, named: bool = True) -> list[Sample]:
    return [Sample(photo(40, 56, seed), Path(f"{seed}.png") if named else None) for seed in seeds]


@pytest.mark.parametrize("kind", KINDS)
def test_support_is_normal_and_other_pictures_are_not(kind: str) -> None:
    inspector = KINDS[kind](tiny_backbone()).fit(samples(0, 1))
    first, second, other = inspector.predict(samples(0, 1, 9))
    assert first.score < 1e-3 and second.score < 1e-3
    assert other.score > 10 * max(first.score, second.score, 1e-4)
    assert other.anomaly_map.shape == (40, 56) and other.anomaly_map.min() >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_adding_one_by_one_equals_fitting_together(kind: str) -> None:
    backbone, probe = tiny_backbone(), samples(7)
    together = KINDS[kind](backbone).fit(samples(0, 1, 2))
    grown = KINDS[kind](backbone).fit(samples(0)).add(samples(1)).add(samples(2))
    left, right = together.predict(probe)[0], grown.predict(probe)[0]
    np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-6)
    assert left.score == pytest.approx(right.score, abs=1e-6)
    assert grown.memory()[0].images == ("0.png", "1.png", "2.png")


@pytest.mark.parametrize("kind", KINDS)
def test_removing_equals_never_having_seen(kind: str) -> None:
    backbone, probe = tiny_backbone(), samples(7)
    never = KINDS[kind](backbone).fit(samples(0, 2)).predict(probe)[0]
    inspector = KINDS[kind](backbone).fit(samples(0, 1, 2))
    assert inspector.remove(Path("1.png")) > 0
    np.testing.assert_allclose(
        inspector.predict(probe)[0].anomaly_map, never.anomaly_map, atol=1e-6
    )
    assert inspector.predict(samples(1))[0].score > 1e-3


def test_pictures_without_a_file_are_numbered() -> None:
    inspector = KINDS["memory"](tiny_backbone()).fit(samples(0, 1, named=False))
    inspector.add(samples(2, named=False))
    assert inspector.memory()[0].images == ("image 1", "image 2", "image 3")
    inspector.remove("image 2")
    with pytest.raises(InputError, match="unknown remembered picture 'image 2'"):
        inspector.remove("image 2")


def test_the_last_picture_cannot_be_removed_and_unknown_products_have_no_memory() -> None:
    inspector = KINDS["memory"](tiny_backbone())
    with pytest.raises(NotFittedError, match="call fit"):
        inspector.predict(samples(0))
    with pytest.raises(NotFittedError, match="no memory to save"):
        inspector.save_memory("m.safetensors")
    inspector.fit(samples(0))
    with pytest.raises(InputError, match="only picture of the memory"):
        inspector.remove("0.png")


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_memory_scores_the_same(kind: str, tmp_path: Path) -> None:
    backbone, probe = tiny_backbone(), samples(7)
    fitted = KINDS[kind](backbone).fit(samples(0, 1))
    path = fitted.save_memory(tmp_path / "m.safetensors")
    loaded = KINDS[kind](backbone).load_memory(path)
    assert loaded.predict(probe)[0].score == pytest.approx(fitted.predict(probe)[0].score, abs=1e-6)
    assert loaded.memory()[0].images == ("0.png", "1.png")


def test_memory_files_of_another_making_are_refused(tmp_path: Path) -> None:
    path = KINDS["memory"](tiny_backbone()).fit(samples(0)).save_memory(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="made with other weights"):
        KINDS["memory"](tiny_backbone(seed=1)).load_memory(path)
    with pytest.raises(InputError, match="made with other neighbourhood: expected 3, got 1"):
        KINDS["memory"](tiny_backbone(), neighbourhood=3).load_memory(path)
    with pytest.raises(InputError, match="no such memory file"):
        KINDS["memory"](tiny_backbone()).load_memory(tmp_path / "gone")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a memory file"):
        KINDS["memory"](tiny_backbone()).load_memory(tmp_path / "junk")


def test_layers_are_averaged_by_hand() -> None:
    backbone = tiny_backbone()
    both, *singles = (
        MemoryInspector(backbone, "nut", MemorySettings(layers=layers, short_side=32))
        .fit(samples(0))
        .predict(samples(5))[0]
        .anomaly_map
        for layers in ((-2, -1), (-2,), (-1,))
    )
    np.testing.assert_allclose(both, (singles[0] + singles[1]) / 2, atol=1e-6)


def test_more_neighbours_are_farther() -> None:
    backbone, probe = tiny_backbone(), samples(7)
    maps = [
        KINDS["memory"](backbone, neighbours=count).fit(samples(0)).predict(probe)[0].anomaly_map
        for count in (1, 3)
    ]
    assert (maps[1] >= maps[0] - 1e-6).all() and maps[1].mean() > maps[0].mean()


def test_a_coreset_keeps_a_share_and_grows_by_it() -> None:
    inspector = KINDS["patchcore"](tiny_backbone(), coreset=0.25).fit(samples(0, 1))
    whole = 2 * 4 * 6  # 40 × 56 at short side 32, patch 8
    assert len(inspector.memory()[0]) == round(0.25 * whole)
    inspector.add(samples(2))
    assert len(inspector.memory()[0]) == round(0.25 * whole) + round(0.25 * whole / 2)


def test_a_coreset_shows_its_progress() -> None:
    seen: list[tuple[int, str]] = []

    def track(items, total, label):  # type: ignore[no-untyped-def]
        seen.append((total, label))
        return items

    inspector = KINDS["patchcore"](tiny_backbone(), coreset=0.5)
    inspector.track = track
    inspector.fit(samples(0))
    assert seen == [(12, "coreset")]


@pytest.mark.parametrize("count", [9, 4])
def test_reweighted_scores_equal_anomalib(count: int) -> None:
    index = ExactIndex(BANK.shape[1])
    index.add(BANK, "normal")
    for rows, expected in zip(QUERIES, REFERENCE["scores"][str(count)], strict=True):
        found, numbers = index.search(rows)
        distances = euclidean(found[:, 0])
        worst = int(distances.argmax())
        weight = reweighting(index, rows[worst], numbers[worst], count)
        assert weight * float(distances[worst]) == pytest.approx(expected, abs=1e-5)


def test_one_neighbour_does_not_weigh() -> None:
    index = ExactIndex(2)
    index.add(torch.eye(2), "a")
    assert reweighting(index, torch.tensor([1.0, 1.0]), torch.tensor([0]), 1) == 1.0
    equal = reweighting(index, torch.tensor([1.0, 1.0]), torch.tensor([0]), 2)
    assert equal == pytest.approx(0.5)  # as far from both: half the weight


def test_smoothing_is_scipys_at_original_size() -> None:
    backbone, probe = tiny_backbone(), samples(7)
    raw = KINDS["anomalydino"](backbone, sigma=0.0).fit(samples(0)).predict(probe)[0]
    soft = KINDS["anomalydino"](backbone, sigma=4.0).fit(samples(0)).predict(probe)[0]
    np.testing.assert_allclose(soft.anomaly_map, gaussian_filter(raw.anomaly_map, 4), atol=1e-6)
    assert soft.score == raw.score


def test_foreground_by_hand() -> None:
    """A 5 × 5 object in the middle of 11 × 11 patches, grown by one patch, whatever its sign."""
    kind = torch.zeros(11, 11)
    kind[3:8, 3:8] = 1
    rows = torch.stack([kind.flatten(), 0 * kind.flatten()], 1)
    expected = torch.zeros(11, 11, dtype=torch.bool)
    expected[2:9, 2:9] = True
    for sign in (1, -1):
        assert torch.equal(foreground_mask(sign * rows, (11, 11), 0.4), expected)


def test_a_picture_without_object_is_all_foreground() -> None:
    rows = torch.eye(16)[:, :3]
    assert foreground_mask(rows, (4, 4), 99.0).all()


def test_background_counts_as_normal() -> None:
    backbone, probe = tiny_backbone(), samples(7)
    plain = {"layers": (-2,), "short_side": 96, "rotations": 1, "sigma": 0.0}
    masked, whole = (
        AnomalyDINOInspector(backbone, "nut", AnomalyDINOSettings(**plain, foreground=level)).fit(
            samples(0)
        )
        for level in (1.0, None)
    )
    (look,) = masked.look(probe)
    left, _ = masked.score(look)
    right, _ = whole.score(look)
    mask = foreground_mask(torch.cat(look.rows(), 1), look.grid, 1.0)
    assert not mask.all() and mask.any()
    torch.testing.assert_close(left, right * mask)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: MemorySettings(neighbours=0), "neighbours must be 1 or more"),
        (lambda: MemorySettings(coreset=0.0), "coreset in"),
        (lambda: PatchCoreSettings(joint=False), "PatchCore has one joint memory"),
        (lambda: MemorySettings(layers=()), "at least one layer"),
        (lambda: MemorySettings(finest_side=100), "at least short_side = 336"),
    ],
)
def test_impossible_settings_are_refused(settings, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        settings()
