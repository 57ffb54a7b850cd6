"""Feedback on decisions that changes what the product is judged by, and back.

Only what the state of the part is known from is used: a part that passed rightly, or was rejected
wrongly, is good; one that was rejected rightly, or passed wrongly, is defective. Defective parts
move no threshold.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from dense.errors import InputError
from dense.inspection.fitting import pixel_digest
from dense.inspection.ledger import Logged, acting_as, check_fits
from dense.inspection.order import Revision
from dense.service.core import Core
from dense.service.errors import ConflictError
from dense.service.formats import SUFFIXES
from dense.service.parts import Kind, Part
from dense.service.pictures import type_of

Use = Literal["calibration", "memory"]
Said = Literal["right", "false-alarm", "missed"]


def state_of(verdict: str, said: str) -> Kind | None:
    """The state of a part by what was decided and said; ``None`` if nothing follows."""
    if verdict == "refused":
        return None
    return "good" if (verdict == "pass") == (said == "right") else "defect"


def give(core: Core, logged: Logged, said: Said, note: str, use: Use | None, actor: str) -> None:
    """Log a feedback and use the picture.

    Raises:
        InputError: If it does not fit the decision, or the picture cannot be used so.
        ConflictError: If the picture is used already.
    """
    decision, old = logged.decision, logged.feedback
    name, decision_id = str(decision["product"]), str(decision["id"])
    if old is not None and old.use is not None:
        if (old.kind, old.use) == (said, use):
            core.ledger.give_feedback(decision_id, said, note, actor=actor, use=use)
            return
        raise ConflictError(f"this picture is used for {old.use}: undo the feedback first")
    if use is None:
        core.ledger.give_feedback(decision_id, said, note, actor=actor)
        return
    check_fits(said, str(decision["verdict"]))
    kind = state_of(str(decision["verdict"]), said)
    if kind is None:
        raise InputError("the picture was refused: it cannot be used, make the product from such")
    core.record(name)
    part = _part(core, logged, kind)
    if use == "memory":
        _remember(core, name, part, kind, actor)
    core.ledger.give_feedback(decision_id, said, note, actor=actor, use=use)
    if use == "calibration":
        core.parts.add(name, part)


def undo(core: Core, logged: Logged, actor: str) -> None:
    """Take a feedback back, and what it was used for.

    Raises:
        InputError: If there is none.
    """
    decision, old = logged.decision, logged.feedback
    name, decision_id = str(decision["product"]), str(decision["id"])
    exists = name in core.registry.names()
    if old is not None and old.use == "memory" and exists:
        _forget(core, name, _part(core, logged, "good"), actor)
    core.ledger.undo_feedback(decision_id, actor=actor)
    core.parts.drop(decision_id=decision_id)


def _remember(core: Core, name: str, part: Part, kind: Kind, actor: str) -> None:
    if kind != "good":
        raise InputError("only good parts join the memory: it is what good looks like")
    (picture,) = core.parts.read([part])
    digest = pixel_digest(picture[1])
    support = core.record(name).product.support
    if digest in {one.pixels for one in support}:
        raise ConflictError("the product knows this very picture already")
    _revise(core, name, Revision(f"learned {part.name}", add=[picture]), actor, {digest})


def _forget(core: Core, name: str, part: Part, actor: str) -> None:
    (picture,) = core.parts.read([part])
    digest = pixel_digest(picture[1])
    support = core.record(name).product.support
    if digest not in {one.pixels for one in support}:
        return  # an undo of the product took it out already
    if len(support) == 1:
        raise InputError("it is the only picture that the product is made from")
    revision = Revision(f"forgot {part.name}", without=frozenset({digest}))
    _revise(core, name, revision, actor)


def _revise(
    core: Core, name: str, revision: Revision, actor: str, joins: Collection[str] = ()
) -> None:
    """A new version, its threshold set anew on the parts that are kept beside its support."""
    good, defects = core.parts.beside(core.record(name).product, joins)
    with core.heavy(), acting_as(actor):
        core.workshop.revise(name, revision, good=good, defects=defects, must_keep_threshold=True)


def _part(core: Core, logged: Logged, kind: Kind) -> Part:
    """The picture of a decision as a part.

    Raises:
        LostError: If it is no longer kept.
    """
    decision_id, sha256 = str(logged.decision["id"]), logged.picture
    suffix = SUFFIXES[type_of(core.file(sha256, "picture"))]
    return Part(kind, f"decision {decision_id[:12]}", str(sha256), suffix, decision_id)
