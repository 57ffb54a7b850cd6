// A new product from a few good pictures: pictures, words, where to look; then their audit.
import { api, makeForm } from "../api.js";
import { field, h, replace, select } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { chips } from "../parts/chips.js";
import { dropZone } from "../parts/drop.js";
import { RegionEditor } from "../parts/regions.js";
import { busy, outcome } from "../parts/states.js";

const ENOUGH =
  "1 to 4 are enough to start; more let the threshold promise more. All of good parts, none of a defect.";
const NAME = "[A-Za-z0-9]([A-Za-z0-9._\\-]{0,62}[A-Za-z0-9_\\-])?";

export default async function newProduct({ signal }) {
  const words = wordFields(await api.methods(signal));
  const regions = regionFields();
  const drop = dropZone("Good pictures", {
    hint: ENOUGH,
    onchange: (files) => regions.offer(files, drop.url(0)),
  });
  const told = outcome();
  const button = h("button.primary", { type: "submit" }, "Make the product");
  const audit = h("div.stack", { "aria-live": "polite" });

  async function make() {
    if (!drop.files().length) throw new Error("Add at least one good picture first.");
    const texts = { ...words.texts(), regions: regions.text() };
    const { name } = await api.createProduct(makeForm(texts, { support: drop.files() }));
    const findings = drop.files().length < 3 ? [] : await api.audit(name);
    drop.mark(findings.map((entry) => entry.findings.map((finding) => finding.text)));
    if (findings.some((entry) => entry.findings.length)) doubt(name);
    else location.hash = calibration(name);
  }
  function doubt(name) {
    button.hidden = true;
    const without = async () => {
      await api.deleteProduct(name);
      for (const entry of drop.flagged()) drop.remove(entry);
      replace(audit);
      button.hidden = false;
      await make();
    };
    replace(
      audit,
      doubts(name, drop, (again) => busy(again, told, without)),
    );
    audit.scrollIntoView({ block: "center" });
  }
  const submit = (event) => {
    event.preventDefault();
    busy(button, told, make);
  };
  const crumb = h("p.crumb", {}, h("a", { href: "#/" }, "Products"));
  return [
    h("div.head", {}, h("div.words", {}, crumb, h("h1", {}, "New product"))),
    h(
      "form.setup",
      { onsubmit: submit },
      h("section.card.stack", {}, step(1, "Show it good parts"), drop.element),
      h("section.card.stack", {}, step(2, "Say what it is"), words.elements),
      h("section.card.stack", {}, step(3, "Where to look (if not everywhere)"), regions.element),
      h("div.stack", {}, told.element, audit, h("div.row", {}, button)),
    ),
  ];
}

const calibration = (name) => `#/products/${encodeURIComponent(name)}/calibration`;
const step = (number, text) => h("h2.step", {}, h("span", { "aria-hidden": "true" }, number), text);

/** What the audit found, and the choice to leave those pictures out. */
function doubts(name, drop, leaveOut) {
  const odd = drop.flagged().length;
  const rest = drop.files().length - odd;
  const text = `${count(odd, "picture")} of ${odd + rest} may not belong among the good ones: see the marks above.`;
  const again = h(
    "button.primary",
    { type: "button", disabled: rest < 1, onclick: () => leaveOut(again) },
    `Make it again from the other ${rest}`,
  );
  return [
    h("div.banner.refused", { role: "alert" }, icon("warning"), h("span", {}, text)),
    h("div.row", {}, again, h("a.button", { href: calibration(name) }, "Keep all")),
  ];
}

/** Name, words, method and scale. */
function wordFields(methods) {
  const plain = { type: "text", autocomplete: "off", spellcheck: "false" };
  const name = h("input", { ...plain, required: true, pattern: NAME, placeholder: "metal_nut" });
  const words = h("input", { type: "text", maxlength: 200, placeholder: "metal nut" });
  const lookFor = chips(
    "Look for",
    "What a defect would look like. Enter after each.",
    [],
    "scratch",
  );
  const ignore = chips("Ignore", "What may be there and is no defect.", [], "dust");
  const method = select(methods.map((row) => [row.name, row.name]));
  const about = h("p.hint", {}, methods[0]?.text ?? "");
  method.addEventListener("change", () => {
    about.textContent = methods.find((row) => row.name === method.value)?.text ?? "";
  });
  const scale = h("input", { type: "number", min: 0, step: "any", placeholder: "0.1" });
  const nameHint = "Letters, digits, . _ and -; it also names files and topics.";
  const wordHint = "What the part is. The name, if left empty.";
  const scaleField = field("Millimetres per pixel", scale, "Then defects have areas in mm².");
  const more = h(
    "div.fields",
    {},
    h("div.stack.tight", {}, field("Method", method), about),
    scaleField,
  );
  const elements = [
    h("div.fields", {}, field("Name", name, nameHint), field("In words", words, wordHint)),
    h("div.fields", {}, lookFor.element, ignore.element),
    h("details", {}, h("summary", {}, "Method and scale"), more),
  ];
  const texts = () => ({
    name: name.value.trim(),
    words: words.value.trim(),
    method: method.value,
    mm_per_pixel: scale.value,
    look_for: lookFor.words().join("\n"),
    ignore: ignore.words().join("\n"),
  });
  return { elements, texts };
}

/** Drawing is offered once there is a picture to draw on. */
function regionFields() {
  const editor = new RegionEditor();
  const hint = h("p.soft", {}, "Add a good picture first; then you can draw on it.");
  const body = h("div", { hidden: true }, editor.element);
  const summary = h("summary", {}, "Draw regions on the picture");
  const element = h("details", { ontoggle: () => editor.viewer.fit() }, summary, body, hint);
  let shown = null;
  function offer(files, url) {
    body.hidden = !files.length;
    hint.hidden = files.length > 0;
    if (url && url !== shown) editor.show(url).catch(refuse);
    shown = url;
  }
  function refuse(error) {
    body.hidden = true;
    hint.hidden = false;
    hint.textContent = error.message;
  }
  function text() {
    const drawn = editor.content();
    return drawn ? JSON.stringify(drawn) : "";
  }
  return { element, offer, text };
}
