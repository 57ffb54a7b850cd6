"""Files of learned parts: our own safetensors, and the parameter files that authors publish."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from safetensors.torch import save
from torch import Tensor, nn

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.outputs import write_bytes
from dense.untrusted import check_fit, read_safetensors, read_torch, state_dict

METHOD, SETTINGS, MODEL, FINGERPRINT, PRECISION = (
    "method",
    "settings",
    "model",
    "fingerprint",
    "precision",
)
ChosenSettings = TypeVar("ChosenSettings")


@runtime_checkable
class LearnedMethod(Protocol):
    """What a file of learned parts is made from."""

    @property
    def name(self) -> str:
        """Of the method, in the catalogue."""

    @property
    def settings(self) -> Any:
        """A frozen dataclass."""

    @property
    def learned(self) -> nn.Module:
        """The parts."""

    @property
    def backbone(self) -> CLIPBackbone:
        """What they belong to."""


def save_learned(
    path: str | Path, method: LearnedMethod, notes: Mapping[str, str] | None = None
) -> None:
    """Write the learned parts, whole or not at all, with what they belong to.

    Args:
        path: Ends in ``.safetensors``.
        method: The trained method.
        notes: Further metadata, e.g. the data it was trained on.

    Raises:
        InputError: If the place cannot be written or the suffix is another.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"learned parts are written as .safetensors, got {path.name}")
    backbone = method.backbone
    metadata = {
        **(notes or {}),
        "format": "pt",
        METHOD: method.name,
        SETTINGS: json.dumps(asdict(method.settings)),
        MODEL: backbone.name,
        FINGERPRINT: backbone.fingerprint,
        PRECISION: str(backbone.dtype),
    }
    state = {k: v.detach().cpu().contiguous() for k, v in method.learned.state_dict().items()}
    write_bytes(path, save(state, metadata))


def is_published(path: str | Path) -> bool:
    """Whether a file is one of the authors' (a PyTorch archive) rather than ours.

    Raises:
        InputError: If it is missing or of neither kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file of learned parts: {path}")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise InputError(
            f"learned parts come as .safetensors, or as the authors' .pth, got {path.name}"
        )
    return path.suffix != ".safetensors"


def read_parts(
    path: str | Path,
    name: str,
    backbone: CLIPBackbone,
    settings: type[ChosenSettings],
    published: Callable[[str | Path], tuple[dict[str, Tensor], ChosenSettings]],
) -> tuple[dict[str, Tensor], ChosenSettings]:
    """Learned parts and settings from our own file, or from one of the authors'.

    Args:
        path: The file.
        name: Catalogue name of the method.
        backbone: What the parts are to be used on.
        settings: The method's class of settings.
        published: Reads the authors' files.

    Raises:
        InputError: If the file is of neither kind, corrupt, or does not belong here.
    """
    if is_published(path):
        return published(path)
    return read_learned(path, name, backbone, settings)


def read_learned(
    path: str | Path, name: str, backbone: CLIPBackbone, settings: type[ChosenSettings]
) -> tuple[dict[str, Tensor], ChosenSettings]:
    """Read our own file of learned parts.

    Args:
        path: The file.
        name: Catalogue name of the method.
        backbone: What the parts are to be used on.
        settings: The method's class of settings.

    Raises:
        InputError: If the file is corrupt or belongs to another method or backbone.
    """
    state, notes = read_safetensors(path)
    if notes.get(METHOD) != name:
        raise InputError(
            f"{path} holds learned parts of {notes.get(METHOD, 'no method')}, not of {name}; "
            f"train them with configs/train/{name.replace('-', '_')}_embedded.py"
        )
    _check_backbone(path, notes, backbone)
    return state, _settings(path, notes, settings)


def _check_backbone(path: str | Path, notes: Mapping[str, str], backbone: CLIPBackbone) -> None:
    """Same weights; in another precision, whose hash differs, the same name."""
    same_precision = notes.get(PRECISION) == str(backbone.dtype)
    if same_precision:
        fits = notes.get(FINGERPRINT) == backbone.fingerprint
    else:
        fits = notes.get(MODEL) == backbone.name
    if not fits:
        raise InputError(
            f"{path} was trained on the model {notes.get(MODEL)!r} "
            f"({notes.get(FINGERPRINT, '')[:8]}) and does not fit {backbone.name!r}"
            + (f" ({backbone.fingerprint[:8]})" if same_precision else "")
            + ": load that model, or train the parts again on this one"
        )


def _settings(
    path: str | Path, notes: Mapping[str, str], settings: type[ChosenSettings]
) -> ChosenSettings:
    try:
        stored = json.loads(notes[SETTINGS])
        known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        if set(values) - known:
            raise KeyError(sorted(set(values) - known)[0])
        return settings(**values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} does not describe its settings ({error}): it was written by another version; "
            "train the parts again"
        ) from error


def read_published(path: str | Path, *inside: str) -> dict[str, Tensor]:
    """Read an author's parameter file without running code from it.

    Args:
        path: A file that `torch.save` wrote.
        inside: Keys that lead to the state dict, from the outside in.

    Raises:
        InputError: If it is corrupt, holds other objects than tensors, or lacks the keys.
    """
    content = read_torch(path)
    for key in inside:
        if not isinstance(content, dict) or key not in content:
            raise InputError(f"{path} has no entry {key!r}: not the published layout of the method")
        content = content[key]
    return state_dict(content, path)


def fill_learned(learned: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Load learned parts that fit exactly; values become fp32.

    Raises:
        InputError: If a tensor is missing, unknown, or has another shape.
    """
    what = f"the learned parts in {path} do not fit this model"
    check_fit(learned.state_dict(), state, what, "load the model they were trained on")
    learned.load_state_dict({key: value.float() for key, value in state.items()})


def numbered(state: Mapping[str, Tensor], prefix: str) -> Sequence[int]:
    """Numbers n of the keys ``PREFIX.n...``, rising."""
    found = {
        key.removeprefix(f"{prefix}.").split(".")[0]
        for key in state
        if key.startswith(f"{prefix}.")
    }
    return sorted(int(number) for number in found if number.isdigit())
