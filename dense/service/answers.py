"""Errors as JSON, the same everywhere."""

from __future__ import annotations

import json
import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from dense.errors import DenseError
from dense.service.errors import BusyError, HTTPError, TooManyError, UnauthorizedError, status_of

_LETTERS = 600
_LOOKOUT = "/2020-11-20/"
_KEPT = ("www-", "retry-", "allow")
_TYPES = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "InternalServerException",
}
"""What clients of Amazon Lookout for Vision tell errors apart by; others are its
ValidationException."""


def problem(status: int, message: str, request_id: str) -> JSONResponse:
    """An error's answer."""
    text = " ".join(message.split())[:_LETTERS]
    return JSONResponse({"error": text, "request_id": request_id}, status)


def tell(error: DenseError, request_id: str) -> JSONResponse:
    """The answer to an error made on purpose."""
    status = status_of(error)
    answer = problem(status, str(error), request_id)
    if isinstance(error, UnauthorizedError):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if status in (TooManyError.status, BusyError.status):
        seconds = error.retry_after if isinstance(error, HTTPError) else None
        answer.headers["Retry-After"] = str(math.ceil(2.0 if seconds is None else seconds))
    return answer


def add_handlers(app: FastAPI) -> None:
    """Tell all errors that way."""

    @app.exception_handler(DenseError)
    async def _dense(request: Request, error: DenseError) -> JSONResponse:
        return _typed(request, tell(error, _id(request)))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _typed(request, problem(422, _sentence(error), _id(request)))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(error.status_code, str(error.detail), _id(request))
        answer.headers.update(error.headers or {})
        return _typed(request, answer)


def _typed(request: Request, answer: JSONResponse) -> JSONResponse:
    if request.url.path.startswith(_LOOKOUT):
        kept = {name: text for name, text in answer.headers.items() if name.startswith(_KEPT)}
        kept["x-amzn-ErrorType"] = _TYPES.get(answer.status_code, "ValidationException")
        content = json.loads(bytes(answer.body))
        return JSONResponse({**content, "message": content["error"]}, answer.status_code, kept)
    return answer


def _id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


def _sentence(error: RequestValidationError) -> str:
    """The first thing that is wrong, and how many more."""
    found = error.errors()
    first = found[0]
    place = ".".join(str(part) for part in first.get("loc", ()) if part != "body") or "the body"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{place}: {first.get('msg', 'cannot be used')}{more}"
