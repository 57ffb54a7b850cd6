"""The application of a worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dense import __version__
from dense.service.answers import add_handlers
from dense.service.auth import cookie_name
from dense.service.core import Core, page_folder
from dense.service.middleware.bodies import Bodies
from dense.service.middleware.headers import Headers
from dense.service.middleware.requests import Requests
from dense.service.routers import (
    calibration,
    decisions,
    events,
    feedback,
    health,
    inspect,
    log,
    lookout,
    playground,
    product_files,
    products,
    session,
)
from dense.service.settings import Settings

_ABOUT = "Products from a few good pictures, decisions with a guarantee, and a log of all of it."
_ROUTERS = (
    health,
    session,
    product_files,
    products,
    calibration,
    inspect,
    decisions,
    feedback,
    events,
    log,
    playground,
    lookout,
)
_THREADS = 40


def create_app(settings: Settings, core: Core | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: Of the service.
        core: What it works with; made from the settings when it starts if ``None``.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        made = core if core is not None else await anyio.to_thread.run_sync(Core, settings)
        app.state.core = made
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        await anyio.to_thread.run_sync(made.start)
        with _Ending(made):
            yield
        await anyio.to_thread.run_sync(made.end)

    app = FastAPI(
        title="dense inspection",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    add_handlers(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    _add_page(app)

    async def known(scope: Scope) -> bool:
        return await anyio.to_thread.run_sync(_is_known, app.state.core, scope)

    async def refused(scope: Scope, what: str) -> None:
        await anyio.to_thread.run_sync(_note, app.state.core, scope, what)

    app.add_middleware(Bodies, limits=settings.limits, known=known, refused=refused)
    app.add_middleware(Requests)
    app.add_middleware(Headers, secure=settings.secure)
    return app


class Page(StaticFiles):
    """The page's files; browsers ask each time whether they changed."""

    def file_response(self, *arguments: object, **options: object) -> Response:
        """A file, or that it is unchanged."""
        answer: Response = super().file_response(*arguments, **options)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _add_page(app: FastAPI) -> None:
    folder = page_folder()
    if not (folder / "index.html").is_file():
        return
    page = Page(directory=folder)
    app.mount("/page", page, name="page")

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})


def _is_known(core: Core, scope: Scope) -> bool:
    """Whether a request carries a right key or session, before its body is read."""
    connection = HTTPConnection(scope)
    kind, _, key = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return core.keys.check(key.strip()) is not None
    cookie = connection.cookies.get(cookie_name(core), "")
    return bool(cookie) and core.keys.check_session(cookie) is not None


def _note(core: Core, scope: Scope, what: str) -> None:
    client = scope.get("client")
    core.guard.note(
        what,
        path=f"{scope['method']} {scope['path']}",
        address=client[0] if client else "",
        request_id=scope.get("request_id", ""),
    )


class _Ending:
    """Ends the event streams at the first SIGTERM or SIGINT: the server waits for them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._before: dict[int, object] = {}

    def __enter__(self) -> _Ending:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._core.events.ending = True
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: object) -> None:
        self._core.events.ending = True
        before = self._before[number]
        if callable(before):
            before(number, frame)
