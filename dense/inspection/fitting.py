"""Fitted models and pictures of products, from and to files; backbones are loaded once."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dense.apps.files import ModelOptions, load_backbone
from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.images import decode_image
from dense.inspection.order import Named, Order
from dense.inspection.product import Member, Picture, Product
from dense.inspection.store.blobs import Blobs
from dense.inspection.team import Maker, Team, fit_members
from dense.inspection.traits import Traits
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.memory import MemoryInspector

Array = NDArray[np.uint8]


class Fitting:
    """Products as fitted models.

    Args:
        blobs: Where their files are.
        device: ``"auto"`` takes the GPU if there is one.
        backbones: Backbones that are loaded already, by model name.
    """

    def __init__(
        self,
        blobs: Blobs,
        *,
        device: str = "auto",
        backbones: Mapping[str, CLIPBackbone] | None = None,
    ) -> None:
        self.blobs, self.device = blobs, device
        self._loading = threading.Lock()
        self._backbones: dict[tuple[str, str | None], CLIPBackbone] = {
            (name, None): own for name, own in (backbones or {}).items()
        }

    def backbone(self, model: str, pretrained: str | None = None) -> CLIPBackbone:
        """A checkpoint, loaded once."""
        key = (model, pretrained)
        with self._loading:
            if key not in self._backbones:
                options = ModelOptions(model, pretrained, self.device)
                self._backbones[key] = load_backbone(options).eval()
            return self._backbones[key]

    def make(self, order: Order, support: Sequence[Named]) -> Product:
        """A product without threshold, its files in the store.

        Raises:
            InputError: If there is no picture, or the method cannot use them.
        """
        order.check(support)
        backbone = self.backbone(order.model, order.pretrained)
        words = order.words or order.name.replace("_", " ")
        maker = Maker(backbone, words, order.method, order.state_words)
        images = [image for _, image in support]
        team = Team(fit_members(maker, images, [range(len(images))], order.view), order.view)
        traits = Traits.of(images, self.features(team, images), backbone)
        return Product(
            name=order.name,
            words=words,
            method=order.method,
            model=order.model,
            pretrained=order.pretrained,
            weights=backbone.fingerprint,
            support=tuple(self.keep(name, image) for name, image in support),
            traits=self.blobs.put(traits.to_bytes()),
            members=(self.member(team.members[0], range(len(images))),),
            view=order.view,
            gates=traits.gates(images),
            state_words=order.state_words,
            mm_per_pixel=order.mm_per_pixel,
        )

    def team(self, product: Product) -> Team:
        """The fitted models of a product, from their files, or fitted anew."""
        backbone = self.same_backbone(product)
        maker = self.maker(product, backbone)
        members: list[Inspector] = []
        for member in product.members:
            inspector = maker(len(member.support))
            if member.bank is not None and isinstance(inspector, MemoryInspector):
                members.append(inspector.load_memory(self.blobs.path(member.bank)))
            else:
                images = [self.picture(product.support[place]) for place in member.support]
                members += fit_members(maker, images, [range(len(images))], product.view)
        return Team(members, product.view)

    def picture(self, picture: Picture) -> Array:
        """Pixels (H, W, 3) of a support picture."""
        data = self.blobs.get(picture.blob)
        return decode_image(data, picture.name, formats=["PNG"])

    def whole(self, product: Product) -> Product:
        """The product with one model of all support pictures."""
        every = tuple(range(len(product.support)))
        if [member.support for member in product.members] == [every]:
            return product
        maker = self.maker(product, self.same_backbone(product))
        images = [self.picture(picture) for picture in product.support]
        (inspector,) = fit_members(maker, images, [every], product.view)
        return replace(product, members=(self.member(inspector, every),))

    def refitted(self, product: Product) -> Product:
        """The product for the weights that its model has now; without thresholds if they moved."""
        backbone = self.backbone(product.model, product.pretrained)
        if product.weights == backbone.fingerprint:
            return product
        images = [self.picture(picture) for picture in product.support]
        maker, every = self.maker(product, backbone), range(len(images))
        team = Team(fit_members(maker, images, [every], product.view), product.view)
        traits = Traits.of(images, self.features(team, images), backbone)
        return replace(
            product,
            weights=backbone.fingerprint,
            traits=self.blobs.put(traits.to_bytes()),
            members=(self.member(team.members[0], every),),
            gates=traits.gates(images),
            calibration=None,
        )

    def same_backbone(self, product: Product) -> CLIPBackbone:
        backbone = self.backbone(product.model, product.pretrained)
        if backbone.fingerprint != product.weights:
            raise InputError(
                f"product {product.name!r} was made with other weights of {product.model!r} than "
                f"are here now: dense product calibrate {product.name} fits it anew on its support"
            )
        return backbone

    def maker(self, product: Product, backbone: CLIPBackbone) -> Maker:
        return Maker(backbone, product.words, product.method, product.state_words)

    def features(self, team: Team, images: Sequence[Array]) -> Tensor:
        """(n, D) unit features of whole pictures."""
        return torch.stack([team.read([image])[0].feature for image in images])

    def keep(self, name: str, image: Array) -> Picture:
        """A support picture as a PNG in the store: its pixels and nothing else of its file."""
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="PNG")
        blob = self.blobs.put(stream.getvalue())
        return Picture(name, blob, pixel_digest(image), (image.shape[0], image.shape[1]))

    def member(self, inspector: Inspector, support: Sequence[int]) -> Member:
        """A fitted inspector with its memory in the store, where it has one that can be kept."""
        if not isinstance(inspector, MemoryInspector):
            return Member(tuple(support))
        with tempfile.TemporaryDirectory() as folder:
            path = inspector.save_memory(Path(folder) / "bank.safetensors")
            return Member(tuple(support), self.blobs.put(path.read_bytes()))


def pixel_digest(image: Array) -> str:
    """SHA-256 of a picture's size and pixels (H, W, 3)."""
    digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def set_digest(pictures: Iterable[str]) -> str:
    """SHA-256 that names a set of pictures, whatever their order: of their digests, a line each."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(pictures)).encode()).hexdigest()
