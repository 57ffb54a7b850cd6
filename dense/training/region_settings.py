"""What region alignment minimises, and what a step costs."""

from __future__ import annotations

from dataclasses import dataclass

from dense.errors import InputError


@dataclass(frozen=True)
class RegionTerms:
    """Weights of the losses; 0 leaves one out. See `dense.training.region_losses`.

    Attributes:
        content: Pooled regions against the teacher's class tokens of their crops (CLIPSelf).
        correlation: Places of a region relate as in the teacher (SCD).
        refined: The same against the teacher through a refiner that learns alongside (R-SC).
        context: Queries and keys of the last block relate as another tower's patches (DeCLIP).
        concepts: Pooled regions against the concept that the teacher sees (RegionCLIP).
        concept_distillation: The same by the teacher's probabilities.
        captions: Class tokens against the captions of the batch (RegionCLIP).
        image: Class tokens of whole pictures against the teacher's (ours): a small tower forgets
            them fast, and mixing weights afterwards alone gives up most of what was learned.
    """

    content: float = 0.0
    correlation: float = 0.0
    refined: float = 0.0
    context: float = 0.0
    concepts: float = 0.0
    concept_distillation: float = 0.0
    captions: float = 0.0
    image: float = 0.0

    def __post_init__(self) -> None:
        if not any(vars(self).values()):
            raise InputError("nothing to learn: give at least one region term a weight")

    @property
    def need_concepts(self) -> bool:
        """Whether any loss looks at concepts."""
        return bool(self.concepts or self.concept_distillation)


@dataclass(frozen=True)
class RegionSettings:
    """What a step of region alignment costs and sees.

    Attributes:
        attention: Of the last block for dense features; CLIPSelf's is ``"value"``.
        start: First block that learns; 0 trains the whole tower.
        share: α: the finished weights are α · student + (1 − α) · teacher.
        bins: Side of the grid of places in a region, for correlations.
        temperature: Of the student's correlations; the teacher's is `teacher_temperature`.
        teacher_temperature: Of the teacher's correlations.
        least: Probability from which the teacher's concept counts.
        crops: Crops that run through the teacher at once.
        precision: ``"fp32"`` or ``"bf16"``.
        checkpointing: Recompute activations in the backward pass: less memory, more time.
    """

    attention: str = "value"
    start: int = 0
    share: float = 0.7
    bins: int = 5
    temperature: float = 0.1
    teacher_temperature: float = 0.1
    least: float = 0.3
    crops: int = 256
    precision: str = "fp32"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise InputError(f"the student's share must lie in [0, 1], got {self.share}")
