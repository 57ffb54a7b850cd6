"""Segment-anything as a cutter: prompts answered from cached image features.

Kirillov et al., "Segment Anything", ICCV 2023, arXiv:2304.02643. The image encoder is nearly all
of the work; its features are kept by the picture's content, so that a second prompt on a picture
runs the small decoder alone.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dense.providers.feature_cache import FeatureCache
from dense.providers.sam import load_sam
from dense.refine.cut import Mask, Prompt

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SURE = 8.0
"""Logit of a rough mask's pixels in the prompt, and its negative outside."""


class SamCutter:
    """Answers prompts on pictures; the answers are those of `SamPredictor.predict`.

    A prompt of one point alone means several things: of the three masks that the decoder offers
    the one it rates highest is taken, as the authors recommend; other prompts get the single one.

    Args:
        model: SAM; it is frozen here.
        name: For the card.
        cache: Where features are kept; 256 MiB in memory if ``None``.
    """

    def __init__(self, model: Sam, *, name: str = "sam", cache: FeatureCache | None = None) -> None:
        from segment_anything import SamPredictor

        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.cache = cache or FeatureCache()
        self._predictor = SamPredictor(self.model)

    @classmethod
    def load(
        cls, weights: str, *, device: str = "cpu", cache: FeatureCache | None = None
    ) -> SamCutter:
        """From a checkpoint, see `dense.providers.sam.load_sam`.

        Raises:
            InputError: If the checkpoint cannot be used.
            MissingDependencyError: If a package is missing.
        """
        model = load_sam(None, weights).to(device)
        return cls(model, name=f"sam:{Path(weights).name}", cache=cache)

    def cut(self, image: NDArray[np.uint8], prompt: Prompt) -> Mask:
        """See `dense.refine.cut.Cutter`."""
        size = (image.shape[0], image.shape[1])
        prompt = prompt.checked(size)
        self.show(image)
        alone = prompt.box is None and prompt.mask is None
        several = alone and prompt.points is not None and len(prompt.points) == 1
        masks, quality, _ = self._predictor.predict(
            point_coords=prompt.points,
            point_labels=prompt.labels,
            box=prompt.box,
            mask_input=None if prompt.mask is None else self.mask_logits(prompt.mask),
            multimask_output=several,
        )
        return np.asarray(masks[int(np.argmax(quality))], np.bool_)

    def show(self, image: NDArray[np.uint8]) -> None:
        """Make the picture (H, W, 3) uint8 RGB the one that prompts are about."""
        key = f"{self._weights}-{_content(image)}"
        features = self.cache.get(key)
        if features is None:
            self._predictor.set_image(image)
            self.cache.put(key, self._predictor.features)
            return
        predictor, size = self._predictor, (image.shape[0], image.shape[1])
        side = self.model.image_encoder.img_size
        predictor.reset_image()
        predictor.features = features.to(self.model.device)
        predictor.original_size = size
        predictor.input_size = predictor.transform.get_preprocess_shape(*size, side)
        predictor.is_image_set = True

    def mask_logits(self, mask: Mask) -> NDArray[np.float32]:
        """A rough mask (H, W) as the decoder's own input (1, h, w), padding counted outside."""
        side = self.model.image_encoder.img_size
        wanted = self.model.prompt_encoder.mask_input_size
        scaled = self._predictor.transform.get_preprocess_shape(*mask.shape, side)
        rows, columns = (
            max(1, round(length * some / side)) for length, some in zip(scaled, wanted, strict=True)
        )
        small = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        logits = np.full((1, *wanted), -SURE, np.float32)
        logits[0, :rows, :columns] = SURE * (2 * small - 1)
        return logits

    def describe(self) -> dict[str, object]:
        """See `dense.refine.cut.Cutter`."""
        return {"cutter": self.name, "cutter_input": self.model.image_encoder.img_size}

    @cached_property
    def _weights(self) -> str:
        """Hash of the encoder: features of another checkpoint are never taken."""
        digest = hashlib.blake2b(digest_size=8)
        for name, value in self.model.image_encoder.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def _content(image: NDArray[np.uint8]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()
