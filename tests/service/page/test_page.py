"""What people do on the page, in a real browser."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping

import pytest

from tests.inspection.products import SIZE
from tests.service.page.conftest import HOSTILE, Visit

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
CARRIED = """files => {
  const carried = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name, {type: name.endsWith("png") ? "image/png" : ""}));
  }
  return carried;
}"""
LOADED = "image => image.decode().then(() => image.naturalWidth)"


def test_a_false_alarm_teaches(visit: Visit, nut: str) -> None:
    visit.sign_in("engineer")
    page = visit.page
    seed = visit.site.unlucky()
    visit.inspect(*visit.site.good(seed), visit.site.bad(5))
    expect(page.get_by_role("link", name=re.compile("Reject bad5.png"))).to_be_visible()
    page.get_by_role("link", name=re.compile(f"Reject good{seed}.png")).click()
    expect(page.get_by_role("heading", level=1, name=f"good{seed}.png")).to_be_visible()
    page.get_by_label("Note (optional)").fill(HOSTILE)
    page.get_by_role("button", name="False alarm").click()
    card = page.locator("section", has=page.get_by_role("heading", name="Is this right?"))
    expect(card.get_by_text(HOSTILE)).to_be_visible()

    card.get_by_role("button", name="Undo").click()
    expect(card.get_by_role("button", name="False alarm")).to_be_visible()
    page.keyboard.press("2")
    expect(card.get_by_text("kept for the next recalibration")).to_be_visible()

    visit.go("products/nut/calibration", "nut")
    expect(page.get_by_text("3 good parts and 1 defective one are kept")).to_be_visible()
    page.get_by_role("button", name="Recalibrate", exact=True).click()
    expect(page.get_by_text("≤ 25 %")).to_be_visible()
    visit.inspect(*visit.site.good(seed))
    expect(page.get_by_role("link", name=re.compile(f"Pass good{seed}.png"))).to_be_visible()

    page.goto(f"{visit.site.address}/#/history?product=nut&verdict=reject")
    rows = page.locator(".decisions li")
    expect(rows).to_have_count(2)
    page.get_by_label("Feedback", exact=True).select_option("false-alarm")
    expect(rows).to_have_count(1)
    page.get_by_label("Search", exact=True).fill("bad5")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No decision fits these filters.")).to_be_visible()


def test_threshold_is_dragged_and_set(visit: Visit, nut: str) -> None:
    visit.sign_in("engineer")
    page = visit.page
    visit.go("products/nut/calibration", "nut")
    handle = page.get_by_role("slider", name="Threshold")
    before = float(handle.get_attribute("aria-valuenow") or "nan")
    assert before == pytest.approx(
        visit.site.core.record("nut").product.calibration.thresholds[""]  # type: ignore[union-attr]
    )
    edge = handle.bounding_box()
    assert edge
    x, y = edge["x"] + edge["width"] / 2, edge["y"] + 60
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 150, y, steps=4)
    page.mouse.up()
    dragged = float(handle.get_attribute("aria-valuenow") or "nan")
    assert dragged > before
    expect(page.get_by_text(re.compile("0 of . .0 %. good parts rejected"))).to_be_visible()

    handle.focus()
    page.keyboard.press("Home")
    lowest = float(handle.get_attribute("aria-valuenow") or "nan")
    assert lowest < before
    page.keyboard.press("ArrowRight")
    assert float(handle.get_attribute("aria-valuenow") or "nan") > lowest
    page.get_by_role("button", name="Use it, without a promise").click()
    expect(page.get_by_text("Nothing: the threshold was set by hand.")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("good parts: [23]"))).to_be_visible()
    visit.go("products/nut", "nut")
    page.get_by_role("button", name="Undo the last change").click()
    expect(
        page.get_by_text(re.compile("At most .* of good parts are rejected")).first
    ).to_be_visible()


def test_layers_and_zoom(visit: Visit, nut: str) -> None:
    visit.sign_in("engineer")
    page = visit.page
    visit.inspect(visit.site.bad(6))
    page.get_by_role("link", name=re.compile("Reject bad6.png")).click()
    layer = page.locator(".sheet img").nth(1)
    expect(layer).to_have_attribute("src", re.compile("map.png"))
    assert layer.evaluate(LOADED) == SIZE[1]
    page.get_by_label("Heat").fill("20")
    expect(layer).to_have_css("opacity", "0.2")
    page.get_by_label("Which map").select_option(label="“scratch”")
    expect(page.locator(".sheet img").nth(1)).to_have_attribute(
        "src", re.compile("word/scratch.png")
    )
    page.get_by_label("Which map").select_option(label=f"“{HOSTILE}”")
    assert page.locator(".sheet img").nth(1).evaluate(LOADED)
    boxes = page.locator(".marks rect")
    expect(boxes).to_have_count(
        len(visit.site.core.ledger.decisions(limit=1)[0].decision["defects"])
    )
    stage = page.locator(".stage")
    stage.focus()
    page.keyboard.press("b")
    expect(boxes).to_have_count(0)
    page.keyboard.press("1")
    expect(page.locator(".zoom")).to_have_text("100 %")
    page.mouse.move(*_middle(stage.bounding_box()))
    page.mouse.wheel(0, -400)
    expect(page.locator(".zoom")).not_to_have_text("100 %")
    page.keyboard.press("0")
    width, height = stage.evaluate("e => [e.clientWidth, e.clientHeight]")
    fits = min(width / SIZE[1], height / SIZE[0])
    expect(page.locator(".zoom")).to_have_text(f"{round(100 * fits)} %")


def _middle(box: Mapping[str, float] | None) -> tuple[float, float]:
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_live_shows_what_comes(visit: Visit, nut: str) -> None:
    visit.sign_in("operator")
    page = visit.page
    visit.go("live?product=nut", "Live")
    expect(page.get_by_text("Live", exact=True).last).to_be_visible()
    expect(page.locator(".badge.pass .pulse")).to_be_visible()
    answer = page.request.post(
        f"{visit.site.address}/api/v1/products/nut/inspect?source={HOSTILE}",
        data=visit.site.bad(7).read_bytes(),
        headers={
            "Content-Type": "image/png",
            "Authorization": f"Bearer {visit.site.keys['operator']}",
        },
    )
    assert answer.status == 200
    expect(page.locator(".rows li").first).to_contain_text(HOSTILE)
    expect(page.locator(".banner.large")).to_contain_text(HOSTILE)


def test_regions_by_pointer_and_by_keyboard(visit: Visit, nut: str) -> None:
    visit.sign_in("engineer")
    page = visit.page
    visit.go("new", "New product")
    visit.drop("Good pictures").set_input_files(visit.site.good(0, 1))
    page.get_by_label("Name", exact=True).fill("part")
    page.get_by_text("Draw regions on the picture").click()
    page.get_by_role("button", name="Draw where to look").click()
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    x, y = _middle(stage.bounding_box())
    for dx, dy in ((-150, -150), (150, -150), (150, 150), (-150, 150), (-150, -150)):
        page.mouse.click(x + dx, y + dy)
    page.get_by_label("Name of the region").fill(HOSTILE)
    page.get_by_role("button", name="Draw what to ignore").click()
    for key in ("Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("ignored place 1")).to_be_visible()
    width, height = stage.evaluate("e => [e.clientWidth, e.clientHeight]")
    scale = max(SIZE[1] / width, SIZE[0] / height)
    page.get_by_role("button", name="Make the product").click()
    expect(page.get_by_role("heading", name="No threshold yet")).to_be_visible()
    view = visit.site.core.record("part").product.view
    assert list(view.regions) == [HOSTILE]
    assert view.regions[HOSTILE].sum() == pytest.approx((300 * scale) ** 2, rel=0.05)
    assert view.ignore is not None and 0 < view.ignore.sum() < 100
    visit.go("products/part", "part")
    assert page.get_by_alt_text(f"Regions: {HOSTILE}").evaluate(LOADED) == SIZE[1]
    visit.site.core.registry.delete("part")


def test_pictures_that_do_not_belong(visit: Visit) -> None:
    """Files that are dropped: what is no picture stays out, a double is marked and left out."""
    visit.sign_in("engineer")
    page, site = visit.page, visit.site
    visit.go("new", "New product")
    zone = page.get_by_role("group", name="Good pictures", exact=True)
    files = [(path.name, b64encode(path.read_bytes()).decode()) for path in site.good(0, 1, 2)]
    files += [("again.png", files[0][1]), ("notes.txt", "")]
    zone.dispatch_event("drop", {"dataTransfer": page.evaluate_handle(CARRIED, files)})
    expect(zone.locator("figure")).to_have_count(4)
    expect(zone.get_by_text("the same picture as good0.png")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("odd")
    page.get_by_role("button", name="Make the product").click()
    page.get_by_role("button", name=re.compile("Make it again from the other [23]")).click()
    expect(page.get_by_role("heading", name="No threshold yet")).to_be_visible()
    names = [picture.name for picture in site.core.record("odd").product.support]
    assert "again.png" not in names and "good2.png" in names
    site.core.registry.delete("odd")


def test_words_on_a_picture(visit: Visit) -> None:
    visit.sign_in("operator")
    page = visit.page
    visit.go("playground", "Playground")
    visit.drop("Picture").set_input_files(visit.site.good(0))
    page.get_by_label("Words", exact=True).fill(f"cup,spoon,{HOSTILE},")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.locator(".legend li").first).to_be_visible()
    assert page.locator(".sheet img").nth(1).evaluate(LOADED)
    page.get_by_label("What for").select_option("detect")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.locator(".sheet img")).to_have_count(1)


def test_report_and_log(visit: Visit, nut: str) -> None:
    visit.sign_in("auditor")
    page = visit.page
    visit.go("products/nut", "nut")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="PDF").click()
    assert waiting.value.path().read_bytes().startswith(b"%PDF-")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Audit report").click()
    expect(opened.value.get_by_text("nut").first).to_be_visible()
    visit.go("products/nut/drift", "nut")
    visit.go("log", "Log")
    page.get_by_role("button", name="Verify the log").click()
    expect(page.get_by_text(re.compile("entries verified: nothing was changed"))).to_be_visible()
    first = page.locator("tbody tr button").first
    first.click()
    expect(first).to_have_attribute("aria-expanded", "true")


def test_pictures_that_are_gone_and_alarms_in_the_log(visit: Visit, nut: str) -> None:
    visit.sign_in("engineer")
    page, core = visit.page, visit.site.core
    visit.inspect(visit.site.bad(8))
    expect(page.get_by_role("link", name=re.compile("Reject bad8.png"))).to_be_visible()
    decision = core.ledger.decisions(limit=1)[0]
    core.registry.pictures.path(str(decision.picture)).unlink()  # as --keep-pictures does
    visit.go(f"decisions/{decision.decision['id']}", re.compile("bad8"))
    expect(page.get_by_text("The picture is not kept any more; the decision is.")).to_be_visible()
    core.ledger.append("drift", "nut", {"text": "Evidence for drift reached 300 at entry 7."})
    visit.go("log", "Log")
    row = page.get_by_role("row").filter(has_text="Evidence for drift reached 300 at entry 7.")
    expect(row.locator(".badge.reject")).to_have_text("drift")
