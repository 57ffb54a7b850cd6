"""Providers and regions by name; networks are imported when they are asked for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from dense.backbones import CLIPBackbone
from dense.errors import InputError, MissingDependencyError, unknown_name
from dense.providers.base import Provider
from dense.providers.clip import OwnBlocks
from dense.providers.regions import Regions, Superpixels

SAMS = ("sam-b", "sam-l", "sam-h")


def find_provider(name: str, backbone: CLIPBackbone, weights: str | None = None) -> Provider:
    """A network that looks at the pictures beside CLIP.

    Args:
        name: ``"clip"`` (its own middle blocks), ``"sam-b"``, ``"sam-l"``, ``"sam-h"``, a short
            name of `dense.providers.vit.NAMES` such as ``"dino-b16"``, or ``"timm:NAME"`` for any
            Vision Transformer of timm.
        backbone: The CLIP, whose device and normalisation count.
        weights: File of the network's weights; SAM needs it, timm's are downloaded otherwise.

    Raises:
        InputError: If the name is unknown or the weights cannot be had.
        MissingDependencyError: If a package is missing.
    """
    if name == "clip":
        return OwnBlocks()
    if name == "stable-diffusion":
        raise _no_diffusion()
    label = f"{name} ({Path(weights).name})" if weights else name
    source = backbone.preprocess
    if name in SAMS:
        from dense.providers import sam

        network = sam.load_sam(name, weights).to(backbone.device, backbone.dtype)
        return sam.SamProvider(label, network, source)
    from dense.providers import vit

    if name not in vit.NAMES and not name.startswith("timm:"):
        raise unknown_name("provider", name, ("clip", *SAMS, *vit.NAMES, "timm:NAME"))
    model = vit.load_vit(name.removeprefix("timm:"), weights)
    return vit.TimmProvider(label, model.to(backbone.device, backbone.dtype), source)


def _no_diffusion() -> Exception:
    if find_spec("diffusers") is None:
        return MissingDependencyError(
            "stable-diffusion needs diffusers: pip install diffusers, or choose another provider "
            "such as dino-b8"
        )
    return InputError(
        "self-attention maps of Stable Diffusion are not built in yet: choose another provider "
        "such as dino-b8"
    )


def find_regions(name: str, backbone: CLIPBackbone, weights: str | None = None) -> Regions:
    """A source of region masks.

    Args:
        name: ``"superpixels"``, ``"sam-b"``, ``"sam-l"`` or ``"sam-h"``.
        backbone: The CLIP, whose device counts.
        weights: SAM's checkpoint.

    Raises:
        InputError: If the name is unknown or the checkpoint is missing.
        MissingDependencyError: If segment-anything is missing.
    """
    if name == "superpixels":
        return Superpixels(backbone.preprocess)
    if name not in SAMS:
        raise unknown_name("source of regions", name, ("superpixels", *SAMS))
    from dense.providers import sam
    from dense.providers.regions import SamRegions

    network = sam.load_sam(name, weights).to(backbone.device)
    return SamRegions(name, backbone.preprocess, network)
