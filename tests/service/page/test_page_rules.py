"""What holds for every view: roles, keyboard, names for screen readers, small screens, contrast."""

from __future__ import annotations

import re

import pytest

from tests.service.page.conftest import Visit

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
PHONE = {"width": 360, "height": 760}
VIEWS = ("", "new", "live", "history", "playground", "log")
TABS = ("", "/calibration", "/drift")
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, [role=slider]")]
  .filter(e => e.checkVisibility() && !e.ariaHidden)
  .filter(e => ![e.getAttribute("aria-label"), e.textContent, e.querySelector("img[alt]")?.alt,
                 ...[...(e.labels ?? [])].map(label => label.textContent)]
                .some(name => name?.trim()))
  .map(e => e.outerHTML.slice(0, 200))"""
CONTRAST = """([ink, below]) => {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = name => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3);
    probe.remove();
    const [r, g, b] = parts.map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}"""


def test_roles_see_what_they_may(visit: Visit, nut: str) -> None:
    page = visit.page
    seen = {}
    for role in ("operator", "auditor", "engineer"):
        visit.sign_in(role)
        visit.go("products/nut", "nut")
        names = ("Export", "Delete", "PDF")
        count = [page.get_by_text(name, exact=True).count() for name in names]
        drop = page.get_by_label("Inspect pictures", exact=True).count()
        rail = [
            page.get_by_role("link", name=name, exact=True).count()
            for name in ("Playground", "Log")
        ]
        seen[role] = [*count, min(drop, 1), *rail]
        page.get_by_role("button", name="Sign out").click()
    assert seen == {
        "operator": [0, 0, 0, 1, 1, 0],
        "auditor": [0, 0, 1, 0, 0, 1],
        "engineer": [1, 1, 1, 1, 1, 1],
    }


def test_keyboard_alone(visit: Visit, nut: str) -> None:
    visit.sign_in("operator")
    page = visit.page
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Products")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Products")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("a.product").first).to_be_focused()
    page.keyboard.press("h")
    expect(page.get_by_role("heading", level=1, name="History")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("l?")
    expect(page.get_by_label("Search", exact=True)).to_have_value("l?")
    page.get_by_label("Verdict", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Verdict", exact=True)).to_be_focused()
    expect(page).to_have_url(re.compile("verdict=pass"))
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Playground")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_everything_has_a_name(visit: Visit, nut: str) -> None:
    """Each control says to screen readers what it is; small screens need no sideways scrolling."""
    visit.sign_in("engineer")
    visit.page.set_viewport_size(PHONE)
    decision = visit.site.core.ledger.decisions(limit=1)[0].decision["id"]
    places = [*VIEWS, *(f"products/nut{tab}" for tab in TABS), f"decisions/{decision}"]
    for place in places:
        visit.go(place, re.compile("."))
        expect(visit.page.locator(".skeleton")).to_have_count(0)
        nameless = visit.page.evaluate(NAMELESS)
        assert nameless == [], place
        wide = visit.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], place


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out(visit: Visit, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: text has a contrast of 4.5 to what lies below it."""
    visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    visit.page.goto(visit.site.address)
    pairs = [(ink, on) for ink in ("ink", "soft", "accent") for on in ("paper", "card", "sunk")]
    pairs += [(tone, f"{tone}-soft") for tone in ("pass", "reject", "refused", "accent")]
    pairs += [("accent-ink", "accent")]
    for ink, below in pairs:
        contrast = visit.page.evaluate(CONTRAST, [ink, below])
        assert contrast >= 4.5, f"{ink} on {below}: {contrast:.2f}"
