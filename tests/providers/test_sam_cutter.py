"""Segment-anything's answers against its own predictor, and what is not computed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import SamPredictor

from dense.errors import InputError
from dense.providers import sam
from dense.providers.feature_cache import FeatureCache
from dense.providers.sam_cutter import SURE, SamCutter
from dense.refine.cut import Prompt
from tests.helpers import photo
from tests.providers.tiny import tiny_sam

MODEL = tiny_sam().eval()
IMAGE = photo(40, 56)
ROUGH = np.zeros((40, 56), bool)
ROUGH[10:30, 12:40] = True
POINT = np.array([[20.0, 15.0]], np.float32)
TWO = np.array([[20, 15], [50, 5]], np.float32)
BOX = np.array([8, 6, 44, 33], np.float32)


class Counted:
    """Counts the calls of an image encoder."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.calls = 0
        self.handle = model.image_encoder.register_forward_hook(self._see)

    def _see(self, *_: object) -> None:
        self.calls += 1


def own(
    prompt: Prompt,
    logits: np.ndarray | None = None,
    several: bool = False,
    image: np.ndarray = IMAGE,
) -> np.ndarray:
    """`SamPredictor`'s answer."""
    predictor = SamPredictor(MODEL)
    predictor.set_image(image)
    masks, quality, _ = predictor.predict(
        prompt.points, prompt.labels, prompt.box, logits, multimask_output=several
    )
    return masks[int(quality.argmax())]


@pytest.mark.parametrize(
    ("prompt", "several"),
    [
        (Prompt(POINT, np.array([1])), True),
        (Prompt(TWO, np.array([1, 0])), False),
        (Prompt(box=BOX), False),
        (Prompt(POINT, np.array([1]), BOX), False),
    ],
)
def test_answers_are_the_predictors_own(prompt: Prompt, several: bool) -> None:
    cutter = SamCutter(MODEL)
    expected = own(prompt, several=several)
    for _ in range(2):  # computed, then from the cache
        np.testing.assert_array_equal(cutter.cut(IMAGE, prompt), expected)


def test_a_rough_mask_is_the_decoders_input() -> None:
    """56 pixels become 32 of the mask's grid, 40 become 23; the rest is padding."""
    cutter = SamCutter(MODEL)
    logits = cutter.mask_logits(ROUGH)
    assert logits.shape == (1, 32, 32)
    assert (logits[0, 23:] == -SURE).all()
    assert logits[0, 11, 15] == SURE
    assert logits[0, 1, 1] == -SURE
    found = cutter.cut(IMAGE, Prompt(box=BOX, mask=ROUGH))
    np.testing.assert_array_equal(found, own(Prompt(box=BOX), logits))


def test_a_second_prompt_does_not_run_the_encoder() -> None:
    cutter, counted = SamCutter(MODEL), Counted(MODEL)
    cutter.cut(IMAGE, Prompt(box=BOX))
    cutter.cut(IMAGE.copy(), Prompt(POINT))
    assert counted.calls == 1  # the content counts, not the object
    other = IMAGE.copy()
    other[0, 0, 0] ^= 1
    cutter.cut(other, Prompt(box=BOX))
    assert counted.calls == 2
    cutter.cut(IMAGE.reshape(56, 40, 3), Prompt(box=BOX))
    assert counted.calls == 3  # the same bytes in another shape are another picture
    cutter.cut(IMAGE, Prompt(box=BOX))
    assert counted.calls == 3
    counted.handle.remove()


def test_features_outlive_the_run_in_a_folder(tmp_path: Path) -> None:
    first = SamCutter(MODEL, cache=FeatureCache(folder=tmp_path))
    expected = first.cut(IMAGE, Prompt(box=BOX))
    counted = Counted(MODEL)
    again = SamCutter(MODEL, cache=FeatureCache(folder=tmp_path))
    np.testing.assert_array_equal(again.cut(IMAGE, Prompt(box=BOX)), expected)
    assert counted.calls == 0
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(b"broken")
    broken = SamCutter(MODEL, cache=FeatureCache(folder=tmp_path))
    np.testing.assert_array_equal(broken.cut(IMAGE, Prompt(box=BOX)), expected)
    assert counted.calls == 1
    counted.handle.remove()
    changed = tiny_sam()
    with torch.no_grad():
        changed.image_encoder.neck[0].weight.mul_(2)
    counted = Counted(changed)
    SamCutter(changed, cache=FeatureCache(folder=tmp_path)).cut(IMAGE, Prompt(box=BOX))
    assert counted.calls == 1  # features of other weights are not taken


def test_caches_are_bounded(tmp_path: Path) -> None:
    value = torch.zeros(256)  # 1 KiB
    cache = FeatureCache(memory=2048)
    for key in "abc":
        cache.put(key, value + ord(key))
    assert cache.bytes == 2048
    assert cache.get("a") is None
    assert cache.get("b") is not None  # now the last used
    cache.put("d", value)
    assert cache.get("c") is None
    assert cache.get("b") is not None
    disk = FeatureCache(memory=0, folder=tmp_path, on_disk=2600)
    (tmp_path / "mine.txt").write_text("x" * 9999)
    for key in "abc":
        disk.put(key, value)
    assert disk.bytes == 0
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert (tmp_path / "mine.txt").is_file()
    with pytest.raises(InputError, match="0 or more bytes"):
        FeatureCache(memory=-1)


def test_checkpoints_by_width_and_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import segment_anything

    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_l", tiny_sam)
    monkeypatch.setitem(sam.WIDTHS, 32, "sam-l")
    state = {k: v.contiguous() for k, v in MODEL.state_dict().items()}
    torch.save(state, tmp_path / "sam.pth")
    save_file(state, tmp_path / "sam.safetensors")
    expected = own(Prompt(box=BOX))
    for name in ("sam.pth", "sam.safetensors"):
        cutter = SamCutter.load(str(tmp_path / name))
        assert cutter.describe() == {"cutter": f"sam:{name}", "cutter_input": 64}
        np.testing.assert_array_equal(cutter.cut(IMAGE, Prompt(box=BOX)), expected)

    def offline(*_: object) -> str:
        raise ConnectionError

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(InputError, match=r"cannot fetch hub:a/b/c\.pth"):
        SamCutter.load("hub:a/b/c.pth")
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda repo, file: str(tmp_path / "sam.pth")
    )
    assert SamCutter.load("hub:a/b/c.pth").name == "sam:c.pth"


def test_one_colour_and_bad_prompts() -> None:
    cutter = SamCutter(MODEL)
    plain = np.full((40, 56, 3), 7, np.uint8)
    found = cutter.cut(plain, Prompt(box=BOX))
    np.testing.assert_array_equal(found, own(Prompt(box=BOX), image=plain))
    with pytest.raises(InputError, match="mask is empty"):
        cutter.cut(IMAGE, Prompt(mask=~np.ones((40, 56), bool)))
    with pytest.raises(InputError, match="lies outside"):
        cutter.cut(IMAGE, Prompt(box=np.array([100, 1, 120, 9], np.float32)))
