// A place to drop pictures: thumbnails, what is doubled, taking one out again.
import { h, replace } from "../dom.js";
import { bytes, count } from "../format.js";
import { icon } from "../icons.js";

const IMAGES = "image/jpeg,image/png,image/bmp,image/tiff,image/webp";
const OTHERS = /\.(tiff?|bmp|webp)$/i; // that some systems give no type

/**
 * Pictures that are collected, each with its thumbnail.
 *
 * @param title What the pictures are.
 * @param options.hint A line below it.
 * @param options.many Whether more than one is taken.
 * @param options.onchange Hears of all files, whenever they change.
 */
export function dropZone(title, { hint = "", many = true, onchange = () => {} } = {}) {
  let entries = [];
  const list = h("div.thumbs");
  const place = dropPlace(title, { hint, many, onfiles: add });
  place.element.append(list);
  const files = () => entries.map((entry) => entry.file);

  async function add(taken) {
    if (!many) release(entries.splice(0));
    for (const file of taken) entries.push(await read(file));
    show();
  }
  function show() {
    markDoubles(entries);
    replace(
      list,
      entries.map((entry) => thumbnail(entry, remove)),
    );
    if (entries.length) place.say(count(entries.length, "picture"));
    onchange(files());
  }
  function remove(entry) {
    release([entry]);
    entries = entries.filter((other) => other !== entry);
    show();
    place.say(`${entry.file.name} taken out.`);
    place.button.focus();
  }
  /** Findings by place, e.g. of the audit. */
  function mark(findings) {
    entries.forEach((entry, k) => {
      entry.findings = findings[k] ?? [];
    });
    show();
  }
  const flagged = () => entries.filter((entry) => entry.double || entry.findings.length);
  const url = (k) => entries[k]?.url;
  return { element: place.element, files, url, mark, flagged, remove };
}

/** A place for pictures that are passed on at once: `onfiles(files)` gets them. */
export function dropPlace(title, { hint = "", many = true, onfiles }) {
  const told = h("p.small.soft", { "aria-live": "polite" });
  const say = (text) => {
    told.textContent = text;
  };
  function take(files) {
    const pictures = files.filter(
      (file) => file.type.startsWith("image/") || OTHERS.test(file.name),
    );
    const left = files.length - pictures.length;
    say(left ? `${count(left, "file")} left out: no picture.` : "");
    if (pictures.length) onfiles(many ? pictures : pictures.slice(0, 1));
  }
  const input = h("input.only-read", {
    type: "file",
    accept: IMAGES,
    multiple: many,
    tabindex: -1,
    "aria-hidden": "true",
  });
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  const texts = many
    ? ["Choose pictures", "or drop them here"]
    : ["Choose a picture", "or drop it here"];
  const button = h(
    "button",
    { type: "button", onclick: () => input.click() },
    icon("upload"),
    texts[0],
  );
  const element = h(
    "div.drop",
    { role: "group", "aria-label": title },
    h("h3", {}, title),
    hint ? h("p.hint", {}, hint) : null,
    h("div.row", {}, button, h("span.soft.small", {}, texts[1])),
    input,
    told,
  );
  acceptDrops(element, take);
  return { element, button, say };
}

function acceptDrops(element, take) {
  const over = (event) => {
    event.preventDefault();
    element.classList.add("over");
  };
  element.addEventListener("dragenter", over);
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
}

function thumbnail(entry, remove) {
  const { file, url } = entry;
  const findings = [entry.double, ...entry.findings].filter(Boolean);
  const out = h(
    "button",
    { type: "button", "aria-label": `Take out ${file.name}`, onclick: () => remove(entry) },
    icon("close"),
  );
  return h(
    findings.length ? "figure.flagged" : "figure",
    {},
    h("img", { src: url, alt: file.name }),
    out,
    h(
      "figcaption",
      {},
      h("div.cut", { title: file.name }, file.name),
      h("div", {}, bytes(file.size)),
      findings.map((text) => h("div.finding", {}, text)),
    ),
  );
}

function markDoubles(entries) {
  const first = new Map();
  for (const entry of entries) {
    const same = entry.digest && first.get(entry.digest);
    entry.double = same ? `the same picture as ${same}` : "";
    if (!same) first.set(entry.digest, entry.file.name);
  }
}

/** Digests tell doubles; browsers give them on https and localhost only. */
async function read(file) {
  const entry = { file, url: URL.createObjectURL(file), digest: "", double: "", findings: [] };
  if (crypto.subtle) {
    const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    entry.digest = String(new Uint8Array(hash));
  }
  return entry;
}

const release = (entries) => entries.forEach((entry) => URL.revokeObjectURL(entry.url));
