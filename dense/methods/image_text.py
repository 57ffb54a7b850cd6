"""Train the image tower of a small CLIP from pictures with words and a teacher's pseudo-labels."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.structures import Size
from dense.training import losses
from dense.training.context import LabelPrior, run_mixed
from dense.training.items import PairItem, TrainingItem, stacked
from dense.training.pseudo_labels import affinity, smooth
from dense.training.settings import StepSettings, Terms
from dense.training.state_terms import StateTerms
from dense.training.student import (
    Outputs,
    check_precision,
    keep_patches,
    run_prefix,
    run_suffix,
    train_only,
)
from dense.training.teacher_targets import TeacherTargets
from dense.training.terms import (
    TeacherView,
    dense_terms,
    gather_patches,
    global_terms,
    word_terms,
)
from dense.training.text_table import TextTable

DEFAULT = StepSettings()


class ImageTextTraining(nn.Module):
    """Contrastive, distilled, dense and state losses in one trainable method.

    Args:
        backbone: The CLIP that learns.
        terms: Weights of the losses.
        settings: What a step costs and sees.
        texts: Fixed text features of everything said in the data; ``None`` runs the text tower.
        class_names: Distinct class names of the data, for `terms.classes`.
        teacher: For the teacher's terms.
        words: (versions, V, D) text features of the aligned words, for `terms.words`.
        states: For `terms.states`.

    Raises:
        InputError: If a term has a weight but nothing to learn from.
    """

    step: Tensor
    classes: Tensor | None

    def __init__(
        self,
        backbone: CLIPBackbone,
        terms: Terms,
        settings: StepSettings = DEFAULT,
        *,
        texts: TextTable | None = None,
        class_names: Sequence[str] = (),
        teacher: TeacherTargets | None = None,
        words: Tensor | None = None,
        states: StateTerms | None = None,
    ) -> None:
        super().__init__()
        check_precision(settings.precision)
        self.backbone = backbone
        self.terms = terms
        self.settings = settings
        self.texts = texts
        self.class_names = tuple(class_names)
        self.class_index = {name: number for number, name in enumerate(self.class_names)}
        self.teacher = teacher
        self.states = states
        self._require_sources(words)
        train_only(backbone, start=settings.start, text=settings.text)
        backbone.vit.grad_checkpointing = settings.checkpointing
        frozen = copy.deepcopy(backbone.vit).requires_grad_(False) if terms.anchor else None
        self.anchor = frozen
        width, rank = backbone.vit.tower.width, 0 if teacher is None else teacher.rank
        use_head = rank and (terms.mimicry or terms.dense_mimicry)
        self.head = nn.Linear(width, rank) if use_head else None
        scale = settings.scale or backbone.logit_scale
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        named = texts(self.class_names) if texts is not None and terms.classes else None
        self.register_buffer("classes", named, persistent=False)
        self.register_buffer("words", words, persistent=False)
        self.priors = self._label_priors(words)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def loss(self, samples: Sequence[TrainingItem]) -> dict[str, Tensor]:
        """Named losses of a batch; see `Terms`."""
        generator = self._generator()
        self.step += 1
        tokens, grid = self._tokens(samples)
        kept = self._choose(tokens, generator)
        sparse = keep_patches(tokens, kept, self.backbone.vit.tower.prefix)
        scale, mixed = self.log_scale.exp(), self._mixes(generator)
        out = self._run(sparse, mixed, generator)
        found = {} if mixed else self._text_terms(out, samples, generator)
        if self.teacher is not None and self.terms.need_teacher:
            found |= self._teacher_terms(out, samples, tokens, kept, grid, mixed, generator)
        if self.terms.words and self.words is not None:
            texts = self._words(generator)
            prior = self._prior("words")
            found |= word_terms(self.terms, out, samples, kept, texts, scale, prior)
        if self.anchor is not None and not mixed:
            found["loss_anchor"] = self.terms.anchor * self._anchor_term(out, sparse)
        pairs = [item.pair for item in samples if item.pair is not None]
        return found | self._state_terms(pairs, generator)

    def finished(self) -> CLIPBackbone:
        """The CLIP as it is to be used: with the learned scale as its own."""
        with torch.no_grad():
            scale: Tensor = self.backbone.model.logit_scale  # type: ignore[assignment]
            scale.copy_(self.log_scale)
        return self.backbone

    def describe(self) -> dict[str, object]:
        """Protocol card: the losses and settings that are in use."""
        used = {name: weight for name, weight in asdict(self.terms).items() if weight}
        return {"method": "image-text training", **used, **asdict(self.settings)}

    def _require_sources(self, words: Tensor | None) -> None:
        terms, teacher = self.terms, self.teacher
        for name, wanted, present in (
            ("teacher", terms.need_teacher, teacher is not None),
            ("states", terms.states, self.states is not None),
            ("words", terms.words, words is not None),
            ("class_names and texts", terms.classes, self.class_names and self.texts is not None),
        ):
            if wanted and not present:
                raise InputError(f"these terms need {name}: pass it, or set their weight to 0")

    def _label_priors(self, words: Tensor | None) -> nn.ModuleDict:
        priors = nn.ModuleDict()
        if self.settings.adjust and self.teacher is not None:
            for name in ("whole", "dense"):
                priors[name] = LabelPrior(len(self.teacher.weights))
        if self.settings.adjust and self.class_names:
            priors["classes"] = LabelPrior(len(self.class_names))
        if self.settings.adjust and words is not None:
            priors["words"] = LabelPrior(words.shape[1])
        return priors

    def _prior(self, name: str) -> LabelPrior | None:
        found = dict(self.priors.items()).get(name)
        return found if isinstance(found, LabelPrior) else None

    def _mixes(self, generator: Generator) -> bool:
        """Whether this step mixes pictures: only if some loss is left then."""
        terms = self.terms
        useful = terms.dense or terms.dense_mimicry or terms.dense_regression or terms.words
        return bool(useful) and float(torch.rand((), generator=generator)) < self.settings.mix

    def _run(self, tokens: Tensor, mixed: bool, generator: Generator) -> Outputs:
        vit, start, precision = self.backbone.vit, self.settings.start, self.settings.precision
        values = self.terms.values > 0
        if mixed:
            return run_mixed(vit, tokens, start, generator, values=values, precision=precision)
        return run_suffix(vit, tokens, start, values=values, precision=precision)

    def _teacher_terms(
        self,
        out: Outputs,
        samples: Sequence[TrainingItem],
        tokens: Tensor,
        kept: Tensor,
        grid: Size,
        mixed: bool,
        generator: Generator,
    ) -> dict[str, Tensor]:
        teacher, terms, scale = self.teacher, self.terms, self.log_scale.exp()
        if teacher is None:
            return {}
        whole, dense = self._prior("whole"), self._prior("dense")
        texts, found = teacher.classifier(generator), {}
        seen = TeacherView(*self._codes(teacher, samples, grid), texts)
        if not mixed:
            found = global_terms(teacher, terms, out, seen, scale, self.head, whole)
        smoothed = self._smoothed(seen.dense, tokens)
        if smoothed is not None:
            target = gather_patches(smoothed, kept[:, : self.settings.dense_patches])
            found |= dense_terms(teacher, terms, out, target, texts, scale, self.head, dense)
        return found

    def _words(self, generator: Generator) -> Tensor:
        """A version of the words' features (V, D)."""
        versions: Tensor = self.words  # type: ignore[assignment]
        return versions[int(torch.randint(len(versions), (), generator=generator))]

    def _generator(self) -> Generator:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        seed = (self.settings.seed * 1_000_003 + int(self.step)) * 1_009 + rank
        return torch.Generator().manual_seed(seed % 2**63)

    def _tokens(self, samples: Sequence[TrainingItem]) -> tuple[Tensor, Size]:
        """Tokens that enter the first learning block, and the grid of their patches."""
        vit, device = self.backbone.vit, self.backbone.device
        cached = stacked([item.tokens for item in samples])
        if cached is not None:
            side = round((cached.shape[1] - vit.tower.prefix) ** 0.5)
            return cached.to(device), (side, side)
        size = self._input_size
        images = [item.image for item in samples if item.image is not None]
        if len(images) != len(samples):
            raise InputError("a batch must hold pictures alone or cached tokens alone")
        grid = (size[0] // vit.patch_size[0], size[1] // vit.patch_size[1])
        return self._run_prefix(images), grid

    @property
    def _input_size(self) -> Size:
        return self.settings.input_size or self.backbone.image_size

    def _run_prefix(self, images: Sequence[object]) -> Tensor:
        preprocess, size = self.backbone.preprocess, self._input_size
        pictures = [preprocess.to_tensor(preprocess.resize(image, size)) for image in images]  # type: ignore[arg-type]
        start = self.settings.start
        with torch.set_grad_enabled(start == 0 and torch.is_grad_enabled()):
            return run_prefix(
                self.backbone.vit,
                self.backbone.to_batch(pictures),
                start,
                precision=self.settings.precision,
            )

    def _state_terms(self, pairs: Sequence[PairItem], generator: Generator) -> dict[str, Tensor]:
        """State losses, the mean over groups of pairs with equal grids."""
        found: dict[str, Tensor] = {}
        if self.states is None:
            return found
        vit, start, precision = self.backbone.vit, self.settings.start, self.settings.precision
        for size in sorted({len(pair.coverage) for pair in pairs}):
            group = [pair for pair in pairs if len(pair.coverage) == size]
            tokens = stacked([pair.tokens for pair in group])
            if tokens is None:
                views = [view for pair in group if pair.images is not None for view in pair.images]
                both = self._run_prefix(views)
            else:
                both = tokens.flatten(0, 1).to(self.backbone.device)
            parts = self.states(vit, both, group, start, generator, precision)
            share = self.terms.states * len(group) / len(pairs)
            for name, value in parts.items():
                found[name] = found.get(name, 0.0) + share * value
        return found

    def _choose(self, tokens: Tensor, generator: Generator) -> Tensor:
        """(B, n) indices of the patches that are kept."""
        patches = tokens.shape[1] - self.backbone.vit.tower.prefix
        count = patches if self.settings.keep is None else min(self.settings.keep, patches)
        draw = torch.rand(len(tokens), patches, generator=generator)
        return draw.argsort(1)[:, :count].to(tokens.device)

    def _encode(self, texts: Sequence[str]) -> Tensor:
        if self.texts is not None:
            return self.texts(texts)
        from dense.backbones.text import encode_tokens

        tokens = self.backbone.tokenizer(list(texts)).to(self.backbone.device)
        with torch.set_grad_enabled(self.settings.text and torch.is_grad_enabled()):
            return F.normalize(encode_tokens(self.backbone.model, tokens).float(), dim=-1)

    def _text_terms(
        self, out: Outputs, samples: Sequence[TrainingItem], generator: Generator
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        scale, batch, terms = self.log_scale.exp(), len(samples), self.terms
        named = [i for i, item in enumerate(samples) if item.texts[0] in self.class_index]
        if terms.classes and named and self.classes is not None:
            rows = [self.class_index[samples[i].texts[0]] for i in named]
            labels, prior = torch.tensor(rows, device=out.class_token.device), None
            counted = self._prior("classes")
            if counted is not None:
                counted.update(F.one_hot(labels, len(self.class_names)))
                prior = counted.log()
            value = losses.class_cross_entropy(
                out.class_token[named], self.classes, scale, labels, prior=prior
            )
            found["loss_classes"] = terms.classes * value * (len(named) / batch)
        told = [i for i in range(batch) if i not in set(named) or not terms.classes]
        if terms.captions and len(told) > 1:
            texts = self._encode([_pick(samples[i].texts, generator) for i in told])
            value = losses.contrastive(out.class_token[told], texts, scale)
            found["loss_captions"] = terms.captions * value
        return found

    def _codes(
        self, teacher: TeacherTargets, samples: Sequence[TrainingItem], grid: Size
    ) -> tuple[Tensor, Tensor | None]:
        device = self.backbone.device
        codes = stacked([item.codes for item in samples])
        dense = stacked([item.dense_codes for item in samples])
        if codes is not None:
            return codes.to(device), None if dense is None else dense.to(device)
        images = [torch.from_numpy(item.image) for item in samples if item.image is not None]
        if len(images) != len(samples):
            raise InputError("cached items must carry the teacher's codes")
        return teacher.look(torch.stack(images).permute(0, 3, 1, 2).to(device), grid)

    def _smoothed(self, dense: Tensor | None, tokens: Tensor) -> Tensor | None:
        terms = self.terms
        if dense is None or not (terms.dense or terms.dense_mimicry or terms.dense_regression):
            return None
        patches = tokens[:, self.backbone.vit.tower.prefix :].detach()
        return smooth(dense, affinity(patches))

    def _anchor_term(self, out: Outputs, tokens: Tensor) -> Tensor:
        if self.anchor is None:
            return out.class_token.new_zeros(())
        with torch.no_grad():
            before = run_suffix(
                self.anchor, tokens.detach(), self.settings.start, precision=self.settings.precision
            )
        token = losses.mimicry(out.class_token, before.class_token)
        return token + losses.mimicry(out.patches, before.patches)


def _pick(texts: Sequence[str], generator: Generator) -> str:
    """The main text, or now and then another one."""
    if float(torch.rand((), generator=generator)) < 0.4:
        return texts[int(torch.randint(len(texts), (), generator=generator))]
    return texts[0]
