"""WinCLIP's tiles and its approximations: what they must leave as it is, and what they change."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import PreprocessConfig
from dense.errors import InputError
from dense.methods.anomaly.tiles import Tiling, tile_boxes
from dense.methods.anomaly.winclip import (
    FAST,
    PAPER,
    SQUARE_CROPS,
    WinCLIPInspector,
    WindowProtocol,
    build,
    build_fast,
)
from dense.structures import Sample
from tests.backbones.builders import build_siglip
from tests.helpers import photo, tiny_backbone

NATIVE = replace(PAPER, tiling=Tiling("native"))


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def inspect(
    backbone: CLIPBackbone, protocol: WindowProtocol, *, batch_size: int = 8
) -> WinCLIPInspector:
    return WinCLIPInspector(backbone, "nut", protocol=protocol, batch_size=batch_size)


# --- tiles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_a_square_picture_is_not_cut(backbone: CLIPBackbone, fitted: bool) -> None:
    pair = [inspect(backbone, PAPER), inspect(backbone, SQUARE_CROPS)]
    if fitted:
        pair = [inspector.fit([Sample(photo(50, 50, seed=3))]) for inspector in pair]
    whole, cut = (inspector.predict([Sample(photo(60, 60))])[0] for inspector in pair)
    assert cut.score == whole.score
    np.testing.assert_array_equal(cut.anomaly_map, whole.anomaly_map)


@pytest.mark.parametrize("fitted", [False, True])
def test_an_oblong_picture_is_the_mean_of_its_crops(backbone: CLIPBackbone, fitted: bool) -> None:
    image, support = photo(40, 72), photo(40, 90, seed=5)
    boxes = tile_boxes((40, 72), SQUARE_CROPS.tiling, (32, 32))
    assert [box[1] for box in boxes] == [0, 32]
    crops = [Sample(image[:, left:right]) for _, left, _, right in boxes]
    single, cut = inspect(backbone, PAPER), inspect(backbone, SQUARE_CROPS)
    if fitted:
        places = tile_boxes((40, 90), SQUARE_CROPS.tiling, (32, 32))
        single.fit([Sample(support[:, left:right]) for _, left, _, right in places])
        cut.fit([Sample(support)])
        assert cut.memory().shots == 1
    parts = single.predict(crops)
    (got,) = cut.predict([Sample(image)])
    assert got.score == pytest.approx(np.mean([part.score for part in parts]), abs=1e-6)
    np.testing.assert_allclose(got.anomaly_map[:, :32], parts[0].anomaly_map[:, :32], atol=1e-6)
    np.testing.assert_allclose(got.anomaly_map[:, 40:], parts[1].anomaly_map[:, 8:], atol=1e-6)
    assert np.abs(parts[0].anomaly_map[:, 32:] - parts[1].anomaly_map[:, :8]).max() > 1e-3


def test_the_highest_tile_may_decide(backbone: CLIPBackbone) -> None:
    protocol = replace(PAPER, tiling=Tiling("native", score="max"))
    image = photo(70, 80)
    tiles = tile_boxes((70, 80), protocol.tiling, (32, 32))
    parts = inspect(backbone, PAPER).predict([Sample(image[t:b, le:r]) for t, le, b, r in tiles])
    (got,) = inspect(backbone, protocol).predict([Sample(image)])
    assert len(tiles) == 9
    assert got.score == pytest.approx(max(part.score for part in parts), abs=1e-6)
    assert got.score > np.mean([part.score for part in parts])


@pytest.mark.parametrize("protocol", [SQUARE_CROPS, NATIVE], ids=["square", "native"])
def test_tiles_of_mixed_pictures_run_in_any_batches(
    backbone: CLIPBackbone, protocol: WindowProtocol
) -> None:
    sizes = ((40, 50), (32, 100), (90, 33), (20, 20))
    pictures = [Sample(photo(*size, seed=n)) for n, size in enumerate(sizes)]
    one, many = (inspect(backbone, protocol, batch_size=n).predict(pictures) for n in (1, 7))
    for a, b, size in zip(one, many, sizes, strict=True):
        assert a.anomaly_map.shape == size
        assert a.score == pytest.approx(b.score, abs=1e-5)
        np.testing.assert_allclose(a.anomaly_map, b.anomaly_map, atol=1e-5)


@pytest.mark.parametrize("protocol", [SQUARE_CROPS, NATIVE, FAST], ids=["square", "native", "fast"])
def test_a_constant_picture_has_a_constant_map(protocol: WindowProtocol) -> None:
    """Where the tower knows no positions: with them, windows of the same content differ."""
    backbone = tiny_backbone()
    with torch.no_grad():
        backbone.model.visual.positional_embedding.zero_()  # type: ignore[union-attr,operator]
    (got,) = inspect(backbone, protocol).predict([Sample(np.full((64, 150, 3), 90, np.uint8))])
    assert got.anomaly_map.min() > 1e-4
    np.testing.assert_allclose(got.anomaly_map, got.anomaly_map[0, 0], atol=1e-5)


def test_a_tiled_support_image_is_at_distance_zero_from_itself(backbone: CLIPBackbone) -> None:
    picture = [Sample(photo(70, 50))]
    text = inspect(backbone, NATIVE).predict(picture)[0]
    fitted = inspect(backbone, NATIVE).fit(picture).predict(picture)[0]
    assert fitted.score == pytest.approx(text.score / 2, abs=1e-5)
    np.testing.assert_allclose(fitted.anomaly_map, text.anomaly_map / 2, atol=1e-5)


# --- approximations ------------------------------------------------------------------------------


def test_all_blocks_alone_is_the_exact_method(backbone: CLIPBackbone) -> None:
    support, picture = [Sample(photo(seed=4))], [Sample(photo())]
    protocol = replace(PAPER, window_blocks=backbone.vit.num_blocks)
    exact = inspect(backbone, PAPER).fit(support).predict(picture)[0]
    got = inspect(backbone, protocol).fit(support).predict(picture)[0]
    np.testing.assert_allclose(got.anomaly_map, exact.anomaly_map, atol=1e-6)
    fewer = inspect(backbone, FAST).fit(support).predict(picture)[0]
    assert np.abs(fewer.anomaly_map - exact.anomaly_map).max() > 1e-3


def test_no_block_alone_is_the_mean_of_dense_features(backbone: CLIPBackbone) -> None:
    inspector, sample = inspect(backbone, FAST), Sample(photo(32, 32))
    features = inspector.extract([sample])
    batch = backbone.to_batch([backbone.preprocess.to_tensor(sample.image)])
    with torch.inference_mode():
        whole = backbone.vit(batch, backbone.recommended.block)
        unit = F.normalize(whole.dense, dim=1)
    assert features.windows[1].shape == (1, 4, 16)
    expected = unit[0, :, 1:4, :3].mean((1, 2))  # the third of four 3 × 3 windows
    torch.testing.assert_close(features.windows[1][0, 2], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(features.image, whole.class_token, atol=1e-5, rtol=0)


@pytest.mark.parametrize("protocol", [PAPER, FAST, replace(PAPER, windows=(1, 2, 4))])
def test_a_tower_without_class_token(protocol: WindowProtocol) -> None:
    """SigLIP: windows are pooled by attention; the laws are those of every tower."""
    model = build_siglip()
    tower = CLIPBackbone(model, _letters, PreprocessConfig(), name="siglip").eval()
    picture = [Sample(photo(40, 40))]
    text = inspect(tower, protocol).predict(picture)[0]
    fitted = inspect(tower, protocol).fit(picture).predict(picture)[0]
    assert np.ptp(text.anomaly_map) > 1e-4
    np.testing.assert_allclose(fitted.anomaly_map, text.anomaly_map / 2, atol=1e-5)
    assert inspect(tower, protocol).fit([Sample(photo(seed=8))]).predict(picture)[0].score > (
        fitted.score + 1e-4
    )


def _letters(texts: list[str]) -> torch.Tensor:
    """Eight numbers below 100 for each text, different for different texts."""
    return torch.tensor([[sum(map(ord, text[k::8])) % 100 for k in range(8)] for text in texts])


def test_strides_leave_no_patch_out(backbone: CLIPBackbone) -> None:
    protocol = replace(PAPER, stride=2)
    inspector = WinCLIPInspector(backbone, "nut", protocol=protocol, input_size=(40, 56))
    assert [len(index) for index in inspector.windows] == [3 * 4, 2 * 3]
    for index in inspector.windows:
        assert set(index.flatten().tolist()) == set(range(35))
    assert inspector.predict([Sample(photo())])[0].anomaly_map.min() > 0


def test_a_coarse_memory_is_part_of_the_exact_one(backbone: CLIPBackbone) -> None:
    support, picture = [Sample(photo(seed=6))], [Sample(photo())]
    exact = inspect(backbone, PAPER).fit(support)
    coarse = inspect(backbone, replace(PAPER, memory_stride=2)).fit(support)
    assert [len(bank) for bank in coarse.memory().windows] == [4, 4]
    corners = exact.memory().windows[0][[0, 2, 6, 8]]
    torch.testing.assert_close(coarse.memory().windows[0], corners, atol=1e-5, rtol=0)
    a, b = exact.predict(picture)[0], coarse.predict(picture)[0]
    assert (b.anomaly_map >= a.anomaly_map - 1e-6).all()
    assert (b.anomaly_map > a.anomaly_map).any()


def test_a_coarse_memory_still_knows_its_own_picture(backbone: CLIPBackbone) -> None:
    """Each patch lies under a remembered window, whose distance 0 wins the harmonic mean."""
    picture = [Sample(photo(40, 56))]
    protocol = replace(PAPER, memory_stride=2)
    text = inspect(backbone, protocol).predict(picture)[0]
    fitted = inspect(backbone, protocol).fit(picture).predict(picture)[0]
    np.testing.assert_allclose(fitted.anomaly_map, text.anomaly_map / 2, atol=1e-5)


def test_the_catalogue_builds_both(backbone: CLIPBackbone) -> None:
    exact, fast = (make(backbone, "nut").describe() for make in (build, build_fast))
    assert (exact["window_blocks"], fast["window_blocks"]) == (None, 0)
    card = inspect(backbone, replace(SQUARE_CROPS, memory_stride=2)).describe()
    assert (card["tiling"], card["strides"]) == ("square", (1, 2))


@pytest.mark.parametrize("blocks", [-1, 4])
def test_more_blocks_than_the_tower_has(backbone: CLIPBackbone, blocks: int) -> None:
    with pytest.raises(InputError, match=rf"window_blocks is {blocks}, expected 0 to 3"):
        inspect(backbone, replace(PAPER, window_blocks=blocks))


@pytest.mark.parametrize("stride", [0, 3])
def test_strides_that_leave_gaps(backbone: CLIPBackbone, stride: int) -> None:
    with pytest.raises(InputError, match=rf"cannot stand {stride} apart, expected 1 to 2"):
        inspect(backbone, replace(PAPER, stride=stride))


def test_patches_that_nobody_extracted(backbone: CLIPBackbone) -> None:
    inspector = inspect(backbone, PAPER).fit([Sample(photo(seed=2))])
    features = inspector.extract([Sample(photo())], patches=False)
    with pytest.raises(InputError, match="extracted without patches: pass patches=True"):
        inspector._memory_map(features, inspector.memory())
