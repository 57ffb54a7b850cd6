"""Every method by name: what the command line, the tables and the documentation list.

One row a method. `build` names a function ``module:function`` that is imported when the method is
used, so listing stays free of heavy imports. Inspection methods are built by
``function(backbone, products, *, shots, batch_size, threshold, weights)`` → `Inspector`,
rejection methods by ``function(backbone, classes, *, accept, threshold, weights)`` → `Rejector`,
segmentation methods by ``function(backbone, classifier, *, protocol, batch_size, **settings)`` →
`OpenVocabSegmentor`, where `settings` are the method's own (see `dense.methods.segmentation.base`),
detection methods by ``function(backbone, classifier, *, proposer, settings)``, trained ones with
`weights`, → `dense.methods.detection.base.Detector`, lookers by
``function(backbone, *, weights, **settings)`` → `Looker` (see `dense.methods.looking.base`),
explaining methods by ``function(**settings)`` → `dense.explain.Explainer`.
"""

from __future__ import annotations

from dense.errors import unknown_name
from dense.explain.rows import ROWS as EXPLAIN
from dense.methods.anomaly.rows import ROWS as INSPECT
from dense.methods.detection.rows import ROWS as DETECT
from dense.methods.looking.rows import ROWS as LOOK
from dense.methods.method import GUIDED, GuidedMethod, Method, Task
from dense.methods.reject.rows import ROWS as REJECT
from dense.methods.segmentation.rows import ROWS as SEGMENT

METHODS: tuple[Method, ...] = (*INSPECT, *REJECT, *SEGMENT, *DETECT, *LOOK, *EXPLAIN)


def methods(task: Task | None = None) -> tuple[Method, ...]:
    """All methods, or those of one task, in the catalogue's order."""
    return tuple(method for method in METHODS if task in (None, method.task))


def find_method(name: str, task: Task | None = None) -> Method:
    """Look a method up; an inspection method's name may end in ``+guided``.

    Raises:
        InputError: If no method of the task has that name.
    """
    if name.endswith(GUIDED) and task in (None, "inspect"):
        return GuidedMethod.of(find_method(name.removesuffix(GUIDED), "inspect"))
    known = {method.name: method for method in methods(task)}
    if name not in known:
        raise unknown_name(f"{task} method" if task else "method", name, known)
    return known[name]
