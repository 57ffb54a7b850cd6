"""Run the parts of a batch: one after the other here, or on Ray Data. The results are the same."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator

from dense.errors import InputError, MissingDependencyError, unknown_name
from dense.inspection.batch.plan import Plan, open_plan
from dense.inspection.batch.store import Store
from dense.inspection.batch.work import Receipt, Worker
from dense.inspection.deciding import Decider, JudgeLike

ENGINES = ("auto", "local", "ray")

_QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Ray tells everybody of its own changes to come, in many lines."""

OpenJudge = Callable[[], JudgeLike]


def run_batch(
    open_judge: OpenJudge,
    source: str,
    out: str,
    *,
    engine: str = "auto",
    workers: int | None = None,
    part_size: int = 256,
    batch: int = 8,
    track: Callable[[Iterator[Receipt], int], Iterator[Receipt]] | None = None,
) -> dict[str, object]:
    """Judge all pictures below a place; a second call goes on where the first was interrupted.

    Args:
        open_judge: Opens the judge; for ``"ray"`` it must pickle.
        source: A folder or an fsspec address.
        out: The same, for ``part-N.jsonl`` (the decisions, one a line), plan and summary.
        engine: One of `ENGINES`; ``"auto"`` is Ray where it is installed.
        workers: Processes of the engine ``"ray"``; by default one a core, one with a GPU.
        part_size: Files that are finished together.
        batch: Pictures judged together.
        track: Wraps the receipts of finished parts in a progress bar, given how many there will be.

    Returns:
        The summary, also written as ``summary.json``.

    Raises:
        InputError: If an option is wrong, `out` belongs to another batch, or there are no pictures.
        MissingDependencyError: If Ray is asked for and not installed.
    """
    started = time.perf_counter()
    engine = _choose(engine)
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError(f"workers and pictures at once are from 1, got {workers} and {batch}")
    judge, store = open_judge(), Store(out)
    plan, resumed = open_plan(store, source, judge.product, judge.version, part_size=part_size)
    have = store.names()
    done = [number for number in range(plan.parts) if plan.receipt(number) in have]
    todo = sorted(set(range(plan.parts)) - set(done))
    if engine == "local":
        worker = Worker(Decider(judge), plan, store, batch=batch)
        receipts: Iterator[Receipt] = (worker.finish(number) for number in todo)
    else:
        del judge
        receipts = _on_ray(open_judge, plan, store.place, todo, workers, batch)
    fresh = list(track(receipts, len(todo)) if track else receipts)
    seconds = time.perf_counter() - started
    old = [json.loads(store.read(plan.receipt(number)) or b"{}") for number in done]
    summary = _sum_up(plan, [*old, *fresh])
    files = sum(int(str(receipt["files"])) for receipt in fresh)
    summary |= {
        "engine": engine,
        "resumed": resumed,
        "files_now": files,
        "seconds": round(seconds, 3),
        "files_per_second": round(files / seconds, 3),
    }
    store.write("summary.json", json.dumps(summary, indent=2).encode() + b"\n")
    return summary


def _sum_up(plan: Plan, receipts: list[Receipt]) -> dict[str, object]:
    verdicts: Counter[str] = Counter()
    missing: list[object] = []
    for receipt in receipts:
        counts, gone = receipt["verdicts"], receipt["missing"]
        verdicts.update(counts if isinstance(counts, dict) else {})
        missing += gone if isinstance(gone, list) else []
    return {
        "command": "inspect-batch",
        "product": plan.product,
        "version": plan.version,
        "source": plan.source,
        "files": len(plan.names),
        "parts": plan.parts,
        "decided": {verdict: verdicts[verdict] for verdict in ("pass", "reject", "refused")},
        "missing": missing[:100],
        "missing_count": len(missing),
    }


def _choose(engine: str) -> str:
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    there = importlib.util.find_spec("ray") is not None
    if engine == "ray" and not there:
        raise MissingDependencyError("the engine ray needs: pip install 'dense-clip[batch]'")
    if engine == "auto":
        return "ray" if there else "local"
    return engine


def _on_ray(
    open_judge: OpenJudge,
    plan: Plan,
    out: str,
    todo: list[int],
    workers: int | None,
    batch: int,
) -> Iterator[Receipt]:
    """Parts as rows of a Ray data set, judged by actors that keep their model."""
    if not todo:
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    import torch

    gpus = torch.cuda.device_count()
    cores = os.cpu_count() or 1
    workers = min(workers or gpus or cores, len(todo))
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    cpus = max(1, int(ray.cluster_resources().get("CPU", cores)) // workers)
    rows = ray.data.from_items([{"part": number} for number in todo], override_num_blocks=len(todo))
    finished = rows.map_batches(
        _Actor,
        fn_constructor_args=(open_judge, plan, out, batch, cpus),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cpus,
        num_gpus=gpus / workers if gpus else 0,
    )
    try:
        for row in finished.iter_rows():
            yield json.loads(str(row["receipt"]))
    finally:
        if ours:
            ray.shutdown()


class _Actor:
    """A process of Ray with a judge of its own."""

    def __init__(
        self, open_judge: OpenJudge, plan: Plan, out: str, batch: int, threads: int
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self.worker = Worker(Decider(open_judge()), plan, Store(out), batch=batch)

    def __call__(self, rows: dict[str, list[int]]) -> dict[str, list[str]]:
        receipts = [self.worker.finish(int(number)) for number in rows["part"]]
        return {"receipt": [json.dumps(receipt) for receipt in receipts]}
