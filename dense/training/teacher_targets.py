"""What an image teacher's codes mean in the text space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from dense.errors import InputError
from dense.prompts import SHORT_TEMPLATES, fill
from dense.training.image_teacher import CodeBook, ImageTeacher
from dense.training.pseudo_labels import named_embedding
from dense.training.text_table import Encoder


class TeacherTargets(nn.Module):
    """Codes → class logits, text classifiers of these classes, and text embeddings.

    Nothing of it is part of checkpoints.

    Args:
        codebook: From the image teacher.
        classifiers: (V, K, D) versions of the text features of the teacher's K classes: the mean
            over templates, the bare names, then one version a template.
        teacher: Runs in the training step, if items carry no codes.
    """

    weights: Tensor
    bias: Tensor
    classifiers: Tensor

    def __init__(
        self,
        codebook: CodeBook,
        classifiers: Tensor,
        *,
        teacher: ImageTeacher | None = None,
    ) -> None:
        super().__init__()
        if classifiers.shape[1] != len(codebook.weights):
            raise InputError(
                f"the teacher knows {len(codebook.weights)} classes, but {classifiers.shape[1]} "
                "have text features"
            )
        for name, value in (
            ("weights", codebook.weights),
            ("bias", codebook.bias),
            ("classifiers", classifiers),
        ):
            self.register_buffer(name, value.clone(), persistent=False)
        self._teacher = [teacher]  # a list: its weights are not ours to save

    @property
    def rank(self) -> int:
        """R, the length of a code."""
        return self.weights.shape[1]

    def logits(self, codes: Tensor) -> Tensor:
        """Class logits (..., K) of codes (..., R)."""
        return codes @ self.weights.T + self.bias

    def embed(self, codes: Tensor, share: Tensor | None = None) -> Tensor:
        """Unit text embeddings (..., D) of codes (..., R), see `named_embedding`.

        Args:
            codes: Of the image teacher.
            share: (K,) how often each class is meant: its mean name is the centre.
        """
        names = self.classifiers[0]
        return named_embedding(
            self.logits(codes), names, centre=None if share is None else share @ names
        )

    def classifier(self, generator: Generator) -> Tensor:
        """A version of the classifier (K, D): half the time the mean, else names or a template."""
        versions = len(self.classifiers)
        draw = float(torch.rand((), generator=generator))
        if draw < 0.5 or versions == 1:
            return self.classifiers[0]
        if draw < 0.75 or versions == 2:
            return self.classifiers[1]
        return self.classifiers[int(torch.randint(2, versions, (), generator=generator))]

    def look(self, pictures: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Codes (B, R) and (B, N, R) of pictures (B, 3, h, w) with values in [0, 255].

        Raises:
            InputError: If there is no teacher to run.
        """
        teacher = self._teacher[0]
        if teacher is None:
            raise InputError("the items carry no teacher codes and there is no teacher to run")
        teacher.to(pictures.device)
        return teacher.codes(pictures), teacher.dense_codes(pictures, grid)


def class_classifiers(
    encode: Encoder, names: Sequence[str], templates: Sequence[str] = SHORT_TEMPLATES
) -> Tensor:
    """Text features of class names in several versions, (2 + templates, K, D) unit rows.

    The first is the mean over templates with half a bare name, the second the bare names, the rest
    one template each.
    """
    bare = F.normalize(encode(names).float(), dim=-1)
    rows = [
        F.normalize(encode([fill([t], n)[0] for n in names]).float(), dim=-1) for t in templates
    ]
    forms = torch.stack(rows)
    mean = F.normalize(forms.mean(0) + 0.5 * bare, dim=-1)
    return torch.cat([torch.stack([mean, bare]), forms]).cpu()
