// Elements are made here and nowhere else. Strings become text nodes, so names and words that
// users bring are never read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** h("button.primary", {type: "button", onclick: save}, "Save"): an element, children appended. */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.classList.add(...classes);
  return fill(element, attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElementNS(SVG, name);
  if (classes.length) element.classList.add(...classes);
  return fill(element, attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Append elements and texts; null and false are left out, lists are opened. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Put other children in place of what is there. */
export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

let counter = 0;
/** A name for an element that labels point to. */
export const newId = (stem) => `${stem}-${++counter}`;

/** A labelled form field: label above, hint below, the control between. */
export function field(label, control, hint) {
  const id = control.id || (control.id = newId("field"));
  const note = hint ? h("p.hint", { id: `${id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div.field", {}, h("label", { for: id }, label), control, note);
}

/** A select of [value, text] pairs. */
export function select(options, value, attributes = {}) {
  const element = h(
    "select",
    attributes,
    options.map(([v, text]) => h("option", { value: v }, text)),
  );
  element.value = value ?? options[0]?.[0] ?? "";
  return element;
}
