// Changing what a product looks for and where: each change is a new version and can be undone.
import { api, link } from "../api.js";
import { h, replace } from "../dom.js";
import { can } from "../session.js";
import { chips } from "./chips.js";
import { RegionEditor } from "./regions.js";
import { busy, outcome, toast } from "./states.js";

/** A card that shows something and, for engineers, a button that opens the form in its place. */
function changeable(title, shown, open) {
  const body = h("div.stack", {}, shown);
  const change = h(
    "button.small",
    {
      type: "button",
      onclick: () => {
        change.hidden = true;
        replace(body, open(back));
        body.querySelector("input, button")?.focus();
      },
    },
    "Change",
  );
  const back = () => {
    change.hidden = false;
    replace(body, shown);
    change.focus();
  };
  return h(
    "section.card",
    {},
    h("header", {}, h("h2", {}, title), can("change") ? change : null),
    body,
  );
}

function buttons(save, back) {
  return h("div.row", {}, save, h("button", { type: "button", onclick: back }, "Cancel"));
}

/** The threshold is made anew with the change, if there are parts enough for its promise. */
function changed(what, product, again) {
  toast(
    product.calibrated
      ? `${what} are changed; so is the threshold.`
      : `${what} are changed: calibrate again.`,
  );
  again();
}

export function wordsCard(product, again) {
  const { look_for: lookFor, ignore, method, mm_per_pixel: scale } = product.product;
  const none = (text) => h("span.soft", {}, text);
  const facts = {
    "Look for": lookFor.join(", ") || none("nothing in particular"),
    Ignore: ignore.join(", ") || none("nothing in particular"),
    Method: method,
    Scale: scale ? `${scale} mm per pixel` : none("not known"),
  };
  const rows = Object.entries(facts).map(([name, value]) => [
    h("dt", {}, name),
    h("dd", {}, value),
  ]);
  return changeable("Words", h("dl.facts", {}, rows), (back) => wordsForm(product, again, back));
}

function wordsForm({ name, product }, again, back) {
  const told = outcome();
  const lookFor = chips("Look for", "What a defect would look like.", product.look_for);
  const ignore = chips("Ignore", "What may be there and is no defect.", product.ignore);
  const save = h("button.primary", { type: "button" }, "Save as a new version");
  const change = async () => {
    const words = { look_for: lookFor.words(), ignore: ignore.words() };
    changed("The words", await api.changeWords(name, words), again);
  };
  save.addEventListener("click", () => busy(save, told, change));
  const hint =
    "Other words give other scores, so the threshold is made anew for the same share of good parts.";
  return [
    lookFor.element,
    ignore.element,
    h("p.hint", {}, hint),
    told.element,
    buttons(save, back),
  ];
}

export function regionsCard(product, again) {
  const shown =
    product.regions.some(Boolean) || product.has_ignored
      ? drawnRegions(product)
      : h("p.soft", {}, "The whole picture.");
  return changeable("Where to look", shown, (back) => regionsForm(product, again, back));
}

function drawnRegions({ name, version, regions }) {
  const names = regions.filter(Boolean).join(", ");
  const alt = `Regions: ${names || "the whole picture"}`;
  const pictures = [
    h("img", { src: link.support(name, 0, 640), alt: "" }),
    h("img", { src: link.regions(name, version), alt }),
  ];
  return h("div.stack.tight", {}, h("div.over", {}, pictures), h("p.small.soft", {}, names));
}

function regionsForm({ name }, again, back) {
  const told = outcome();
  const editor = new RegionEditor();
  editor.show(link.support(name, 0)).catch(told.wrong);
  const save = h("button.primary", { type: "button" }, "Save as a new version");
  const change = async () =>
    changed("The regions", await api.changeRegions(name, editor.content()), again);
  save.addEventListener("click", () => busy(save, told, change));
  const hint =
    "What you draw replaces the regions there are; nothing drawn means the whole picture.";
  return [h("p.hint", {}, hint), editor.element, told.element, buttons(save, back)];
}
