"""Students before they learn: towers put together from elsewhere."""

from __future__ import annotations

from pathlib import Path

from dense.backbones import CLIPBackbone, load
from dense.engine.model import default_device
from dense.errors import InputError
from dense.training.student import StudentShape, build_student
from dense.training.vision_onnx import read_onnx_vit

_SHAPE = StudentShape()


def fresh_student(
    shape: StudentShape = _SHAPE,
    *,
    vision: str | Path | None = None,
    random: bool = False,
    text: str | Path | None = None,
    seed: int = 0,
) -> CLIPBackbone:
    """A student with the self-supervised image tower and a trained text tower.

    Args:
        shape: Its architecture.
        vision: ONNX file of the tower, see `read_onnx_vit`; the installed package if ``None``.
        random: Start from random blocks instead.
        text: Checkpoint of the text stage; a random text tower if ``None``.
        seed: Of what is random.

    Raises:
        InputError: If a part does not fit.
    """
    tower = None if random else read_onnx_vit(vision)
    backbone = build_student(shape, vision=tower, seed=seed)
    if text is not None:
        copy_text_tower(load(str(text)), backbone)
    return backbone.to(default_device())


def copy_text_tower(source: CLIPBackbone, target: CLIPBackbone) -> None:
    """Copy everything but the image tower.

    Raises:
        InputError: If the towers differ in shape.
    """
    state, own = source.model.state_dict(), target.model.state_dict()
    taken = {key: value for key, value in state.items() if not key.startswith("visual.")}
    wrong = [key for key, value in taken.items() if own.get(key, value).shape != value.shape]
    if wrong:
        raise InputError(f"the text towers differ: {len(wrong)} tensors, the first is {wrong[0]}")
    target.model.load_state_dict({**own, **taken})
