"""A real server with a tiny model, and browsers that note what must not happen."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dense.images import write_image
from tests.inspection.products import part, scratched, workshop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from dense.service.core import Core

HOSTILE = "<img src=x onerror=\"document.title='broken'\">"
DESKTOP = {"width": 1280, "height": 900}
PATIENCE = 30_000
"""Milliseconds: the machine may be busy."""


@dataclass
class Site:
    """A running server and the keys to it."""

    address: str
    core: Core
    keys: dict[str, str]
    folder: Path

    def good(self, *seeds: int) -> list[Path]:
        """Pictures of good parts."""
        return [self._file(f"good{seed}.png", part(seed)) for seed in seeds]

    def bad(self, seed: int) -> Path:
        """A picture of a scratched part."""
        return self._file(f"bad{seed}.png", scratched(seed))

    def unlucky(self) -> int:
        """Seed of a good part that the product rejects."""
        judge = self.core.workshop.judge("nut")
        for seed in range(10, 60):
            (decision,) = judge.judge_batch([part(seed)], [str(seed)], ["0" * 64])
            if decision.verdict == "reject":
                return seed
        raise AssertionError("the product rejects no good part")

    def _file(self, name: str, image: np.ndarray) -> Path:
        path = self.folder / name
        write_image(path, image)
        return path


@dataclass
class Visit:
    """A page of a fresh browser, and what went wrong on it."""

    page: Page
    site: Site
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        self.page.on("console", lambda line: self._told(line.type, line.text))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.site.address, "data:", "blob:")):
            self.wrong.append(f"asked {url}")

    def _told(self, kind: str, text: str) -> None:
        if kind == "error" and "401" not in text:  # nobody is signed in yet
            self.wrong.append(text)

    def go(self, place: str, heading: str | re.Pattern[str]) -> None:
        """Open a view."""
        self.page.goto(f"{self.site.address}/#/{place}")
        self.page.get_by_role("heading", level=1, name=heading).wait_for()

    def sign_in(self, role: str) -> None:
        """Sign in by the key of a role."""
        self.page.goto(self.site.address)
        self.page.get_by_label("Key", exact=True).fill(self.site.keys[role])
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", level=1, name="Products").wait_for()

    def drop(self, title: str) -> Locator:
        """The file input of a drop zone; people use the button beside it, or drop files."""
        return self.page.get_by_role("group", name=title, exact=True).locator("input")

    def inspect(self, *files: Path) -> None:
        """Have pictures judged on the product's page."""
        self.go("products/nut", "nut")
        self.drop("Inspect pictures").set_input_files(list(files))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    import uvicorn

    from dense.service.app import create_app
    from dense.service.core import Core
    from dense.service.keys import Role
    from dense.service.settings import Settings

    home = tmp_path_factory.mktemp("home")
    core = Core(Settings(home=home, device="cpu"), workshop(home))
    keys = {role.value: core.keys.add(f"{role.value} of the test", role)[0] for role in Role}
    app = create_app(core.settings, core)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(f"http://127.0.0.1:{port}", core, keys, tmp_path_factory.mktemp("pictures"))
    core.events.ending = True
    server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    api.expect.set_options(timeout=PATIENCE)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(site: Site, chromium: Browser) -> Iterator[Visit]:
    """A fresh browser; afterwards nothing may have gone wrong, or to any other host."""
    yield from visiting(site, chromium)


@pytest.fixture(scope="session")
def nut(site: Site, chromium: Browser) -> str:
    """A product made and calibrated through the page; the tests stand on it."""
    for visit in visiting(site, chromium):
        visit.sign_in("engineer")
        page = visit.page
        page.get_by_role("link", name="New product").first.click()
        visit.drop("Good pictures").set_input_files(site.good(0, 1))
        page.get_by_label("Name", exact=True).fill("nut")
        page.get_by_label("Look for", exact=True).fill(f"scratch,{HOSTILE},")
        page.get_by_role("button", name="Make the product").click()
        page.get_by_role("heading", name="No threshold yet").wait_for()
        visit.drop("More good parts (optional)").set_input_files(site.good(2, 3))
        visit.drop("Defective examples (optional)").set_input_files(site.bad(4))
        assert page.get_by_label("Good parts that may be rejected, in %").input_value() == "33.4"
        page.get_by_role("button", name="Calibrate", exact=True).click()
        page.get_by_text("≤ 33 %").wait_for()
    return "nut"


def visiting(site: Site, chromium: Browser) -> Iterator[Visit]:
    """One visit, then the check that nothing went wrong."""
    context = chromium.new_context(viewport=DESKTOP, locale="en-GB")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    found = Visit(context.new_page(), site)
    yield found
    context.close()
    assert not found.wrong
