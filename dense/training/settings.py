"""What image-text training minimises, and what a step costs."""

from __future__ import annotations

from dataclasses import dataclass

from dense.structures import Size


@dataclass(frozen=True)
class Terms:
    """Weights of the losses; 0 leaves one out.

    Attributes:
        teacher: Class token against the teacher's class probabilities, through class texts.
        classes: Class token against all class names of the data.
        captions: Class token against the captions of the batch.
        mimicry: A linear head on the class token against the teacher's code.
        regression: Class token against the mean name of what the teacher sees (ConSE).
        dense: Patches against the teacher's smoothed patch probabilities.
        dense_mimicry: The linear head on patches against the smoothed patch codes.
        dense_regression: Patches against the mean name of the smoothed patch codes.
        mil: The best patches against the teacher's class probabilities.
        words: Patches against words aligned with them.
        values: Repeats the dense losses and `words` on the value path, with this factor.
        states: Intact against damaged.
        anchor: All tokens against those of the tower as it was: forgets less.
    """

    teacher: float = 0.0
    classes: float = 0.0
    captions: float = 0.0
    mimicry: float = 0.0
    regression: float = 0.0
    dense: float = 0.0
    dense_mimicry: float = 0.0
    dense_regression: float = 0.0
    mil: float = 0.0
    words: float = 0.0
    values: float = 0.0
    states: float = 0.0
    anchor: float = 0.0

    @property
    def need_teacher(self) -> bool:
        """Whether any loss looks at the image teacher."""
        whole = self.teacher or self.mimicry or self.regression or self.mil
        return bool(whole or self.dense or self.dense_mimicry or self.dense_regression)


@dataclass(frozen=True)
class StepSettings:
    """What a training step costs and sees.

    Attributes:
        start: First block that learns; those before it are frozen.
        keep: Patches of a picture that are kept, chosen anew each time; ``None`` keeps all.
        dense_patches: How many of these take part in the dense losses.
        input_size: (h, w) of pictures; the tower's own if ``None``. Cached tokens have theirs.
        precision: Of the blocks, ``"fp32"`` or ``"bf16"``.
        checkpointing: Recompute activations in the backward pass: less memory, more time.
        text: Whether the text tower learns, too.
        scale: First multiplier from cosine similarity to logits; the backbone's own if ``None``.
        adjust: Add the logarithm of label frequencies to logits in training.
        mix: Share of steps in which half of the patches come from another picture; such steps
            have no losses on class tokens.
        seed: Of all draws; with the number of the step it decides them.
    """

    start: int = 0
    keep: int | None = None
    dense_patches: int | None = None
    input_size: Size | None = None
    precision: str = "fp32"
    checkpointing: bool = False
    text: bool = False
    scale: float | None = None
    adjust: bool = False
    mix: float = 0.0
    seed: int = 0
