"""A client of the service, for Python programs: ``pip install "dense-clip[service]"``.

    from dense.service.client import Client

    with Client("https://inspection.example", key) as client:
        decision = client.inspect("nut", "part.png", source="part-4711")
        print(decision.verdict, decision.score)

It needs no model and loads none. What comes back are the models of `dense.service.models`.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import httpx
from pydantic import TypeAdapter

from dense.service.formats import TYPES
from dense.service.models.decisions import Accepted, DecisionModel, DecisionPage, JobModel
from dense.service.models.log import VerifiedModel
from dense.service.models.products import CalibrationModel, ProductItem, ProductModel
from dense.service.wire import PAUSE, ServiceError, Wire

__all__ = ["Client", "ServiceError"]

Files = list[tuple[str, tuple[str, bytes, str]]]
_UNKNOWN = "application/octet-stream"


class Client:
    """Talks to one service.

    Args:
        url: Of the service, e.g. ``"https://inspection.example"``.
        key: A key of ``dense serve-key add``.
        timeout: Seconds for one answer.
        patience: Seconds for which what failed for being busy (429, 503), or for a lost
            connection, is tried again.
        verify: File with the certificates that are trusted, ``True`` for the system's.
        transport: In place of the network, for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 120.0,
        patience: float = 60.0,
        verify: bool | str | Path = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wire = Wire(
            url, key, timeout=timeout, patience=patience, verify=verify, transport=transport
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.http.close()

    def products(self) -> list[ProductItem]:
        """All products."""
        answer = self._wire.send("GET", "products")
        return TypeAdapter(list[ProductItem]).validate_json(answer.content)

    def product(self, name: str) -> ProductModel:
        """One product."""
        return self._wire.get(ProductModel, f"products/{name}")

    def create_product(
        self,
        name: str,
        support: Sequence[str | Path],
        *,
        words: str = "",
        look_for: Sequence[str] = (),
        ignore: Sequence[str] = (),
        method: str = "words-memory",
        mm_per_pixel: float | None = None,
        regions: Mapping[str, object] | None = None,
    ) -> ProductModel:
        """Make a product from good pictures (files)."""
        form = {
            "name": name,
            "words": words,
            "look_for": "\n".join(look_for),
            "ignore": "\n".join(ignore),
            "method": method,
            **({} if mm_per_pixel is None else {"mm_per_pixel": repr(mm_per_pixel)}),
            **({} if regions is None else {"regions": json.dumps(regions)}),
        }
        answer = self._wire.send("POST", "products", data=form, files=_files("support", support))
        return ProductModel.model_validate_json(answer.content)

    def delete_product(self, name: str) -> None:
        """Forget a product."""
        self._wire.send("DELETE", f"products/{name}")

    def calibrate(
        self,
        name: str,
        alpha: float,
        *,
        good: Sequence[str | Path] = (),
        defects: Sequence[str | Path] = (),
        folds: int | None = None,
    ) -> ProductModel:
        """Set the threshold so that at most `alpha` of good parts are rejected."""
        form = {"alpha": repr(alpha), **({} if folds is None else {"folds": str(folds)})}
        files = [*_files("good", good), *_files("defects", defects)]
        answer = self._wire.send(
            "POST", f"products/{name}/calibrate", data=form, files=files or None
        )
        return ProductModel.model_validate_json(answer.content)

    def recalibrate(self, name: str) -> ProductModel:
        """Set the threshold anew with what feedback has added."""
        answer = self._wire.send("POST", f"products/{name}/recalibrate")
        return ProductModel.model_validate_json(answer.content)

    def calibration(self, name: str) -> CalibrationModel:
        """The threshold and the scores it rests on."""
        return self._wire.get(CalibrationModel, f"products/{name}/calibration")

    def inspect(
        self, name: str, picture: str | Path | bytes, *, source: str = "", suffix: str = ".png"
    ) -> DecisionModel:
        """Judge a picture and wait for the decision.

        Sent again after a lost connection, it is still one part and one decision.

        Args:
            name: Of the product.
            picture: A file, or its bytes.
            source: Where it came from, e.g. the number of the part.
            suffix: Of the format of bytes.

        Raises:
            ServiceError: If the service refuses it.
        """
        answer = self._inspect(name, picture, source, suffix, wait=True)
        if isinstance(answer, DecisionModel):
            return answer
        return self.wait_for(answer.id)

    def submit(
        self, name: str, picture: str | Path | bytes, *, source: str = "", suffix: str = ".png"
    ) -> Accepted:
        """Hand a picture over; it is on the service's disk when this returns."""
        answer = self._inspect(name, picture, source, suffix, wait=False)
        if isinstance(answer, Accepted):
            return answer
        return Accepted(id=answer.id, status_url=f"/api/v1/jobs/{answer.id}")

    def job(self, job_id: str) -> JobModel:
        """How far an accepted picture is."""
        return self._wire.get(JobModel, f"jobs/{job_id}")

    def wait_for(self, job_id: str, *, seconds: float = 600.0) -> DecisionModel:
        """The decision on an accepted picture.

        Raises:
            ServiceError: If it takes longer.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            decision = self.job(job_id).decision
            if decision is not None:
                return decision
            time.sleep(0.5)
        raise ServiceError(f"picture {job_id} is not judged after {seconds:g} seconds")

    def decision(self, decision_id: str) -> DecisionModel:
        """One decision."""
        return self._wire.get(DecisionModel, f"decisions/{decision_id}")

    def decisions(
        self,
        *,
        product: str | None = None,
        verdict: Literal["pass", "reject", "refused"] | None = None,
        feedback: Literal["right", "false-alarm", "missed", "any", "none"] | None = None,
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
    ) -> Iterator[DecisionModel]:
        """All decisions that fit, newest first, page by page."""
        asked = {
            "product": product,
            "verdict": verdict,
            "feedback": feedback,
            "since": since,
            "until": until,
            "text": text,
        }
        query: dict[str, str | int] = {k: v for k, v in asked.items() if v is not None}
        while True:
            page = self._wire.get(DecisionPage, "decisions", params={**query, "limit": 200})
            yield from page.items
            if page.next is None:
                return
            query["before"] = page.next

    def picture(
        self, decision_id: str, kind: Literal["picture", "map.png", "mask.png"] = "picture"
    ) -> bytes:
        """The picture of a decision, its heat or its mask."""
        return self._wire.send("GET", f"decisions/{decision_id}/{kind}").content

    def give_feedback(
        self,
        decision_id: str,
        kind: Literal["right", "false-alarm", "missed"],
        *,
        note: str = "",
        use: Literal["calibration", "memory"] | None = None,
    ) -> DecisionModel:
        """Say whether a decision was right."""
        body = {"kind": kind, "note": note, "use": use}
        answer = self._wire.send("POST", f"decisions/{decision_id}/feedback", json=body)
        return DecisionModel.model_validate_json(answer.content)

    def undo_feedback(self, decision_id: str) -> DecisionModel:
        """Take it back, and what it was used for."""
        answer = self._wire.send("DELETE", f"decisions/{decision_id}/feedback")
        return DecisionModel.model_validate_json(answer.content)

    def events(self, after: int | None = None) -> Iterator[tuple[str, dict[str, object]]]:
        """Kinds and data of live events; a lost connection is taken up where it broke."""
        place = "" if after is None else str(after)
        while True:
            with contextlib.suppress(httpx.TransportError):
                for number, kind, data in self._wire.listen(place):
                    place = number or place
                    yield kind, data
            time.sleep(PAUSE)

    def verify_log(self) -> VerifiedModel:
        """Whether the log is whole."""
        return self._wire.get(VerifiedModel, "log/verify")

    def _inspect(
        self, name: str, picture: str | Path | bytes, source: str, suffix: str, *, wait: bool
    ) -> DecisionModel | Accepted:
        data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        kind = suffix if isinstance(picture, bytes) else Path(picture).suffix
        answer = self._wire.send(
            "POST",
            f"products/{name}/inspect",
            params={"wait": wait, "source": source},
            content=data,
            headers={
                "Content-Type": TYPES.get(kind.lower(), _UNKNOWN),
                "Idempotency-Key": secrets.token_hex(16),
            },
        )
        shape = Accepted if answer.status_code == 202 else DecisionModel
        return shape.model_validate_json(answer.content)


def _files(part: str, paths: Sequence[str | Path]) -> Files:
    return [
        (
            part,
            (
                Path(path).name,
                Path(path).read_bytes(),
                TYPES.get(Path(path).suffix.lower(), _UNKNOWN),
            ),
        )
        for path in paths
    ]
