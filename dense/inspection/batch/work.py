"""One part of a batch: read, judge, write. All engines do this and nothing else."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from dense.errors import InputError
from dense.inspection.batch.plan import Plan
from dense.inspection.batch.store import Store
from dense.inspection.deciding import Decider
from dense.inspection.sources.base import Picture, Unread
from dense.inspection.sources.untrusted import decode_untrusted, printable_name
from dense.outputs import plain_values

Receipt = dict[str, object]


class Worker:
    """Finishes parts.

    Args:
        decider: Decides.
        plan: Says what is in a part.
        out: Takes the results.
        batch: Pictures judged together.
    """

    def __init__(self, decider: Decider, plan: Plan, out: Store, *, batch: int = 8) -> None:
        self.decider, self.plan, self.out, self.batch = decider, plan, out, batch
        self.source = Store(plan.source)

    def finish(self, number: int) -> Receipt:
        """Judge a part and write ``part-N.jsonl``, then ``part-N.done.json``.

        Returns:
            The receipt: how many of each verdict, which files were gone, seconds.
        """
        started = time.perf_counter()
        missing: list[str] = []
        verdicts: Counter[str] = Counter()
        lines = []
        for group in self._read_ahead(self.plan.part(number), missing):
            for decision in self.decider.decide_batch(group):
                verdicts[decision.verdict] += 1
                text = json.dumps(plain_values(decision.to_json()), ensure_ascii=False)
                lines.append(f"{text}\n")
        self.out.write(self.plan.result(number), "".join(lines).encode())
        receipt: Receipt = {
            "part": number,
            "files": len(lines),
            "verdicts": dict(verdicts),
            "missing": missing,
            "seconds": round(time.perf_counter() - started, 3),
        }
        self.out.write(self.plan.receipt(number), json.dumps(receipt).encode())
        return receipt

    def _read_ahead(
        self, names: tuple[str, ...], missing: list[str]
    ) -> Iterator[list[Picture | Unread]]:
        """Groups of pictures; the next is read while one is judged."""
        groups = [names[n : n + self.batch] for n in range(0, len(names), self.batch)]
        with ThreadPoolExecutor(1, "reader") as reader:
            coming = [reader.submit(self._read_all, group, missing) for group in groups[:1]]
            for place in range(len(groups)):
                found = coming.pop().result()
                if place + 1 < len(groups):
                    coming.append(reader.submit(self._read_all, groups[place + 1], missing))
                yield found

    def _read_all(self, names: tuple[str, ...], missing: list[str]) -> list[Picture | Unread]:
        found = [self._read(name, missing) for name in names]
        return [entry for entry in found if entry is not None]

    def _read(self, name: str, missing: list[str]) -> Picture | Unread | None:
        shown = printable_name(name)
        try:
            data = self.source.read_picture(name)
        except InputError as error:
            missing.append(str(error))
            return None
        except OSError as error:
            missing.append(f"{shown}: {error.strerror or error}")
            return None
        digest = hashlib.sha256(data).hexdigest()
        try:
            return Picture(shown, digest, decode_untrusted(data, shown))
        except InputError as error:
            return Unread(shown, digest, str(error))
