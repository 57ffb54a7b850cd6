// Single-key shortcuts. They rest while one types or a dialog is open, and can be turned off.
import { h } from "./dom.js";
import { panel } from "./parts/dialog.js";

const known = new Map();
const OFF = "dense-shortcuts-off";

/** Let a key do something until `signal` ends (the view is left); `key` as in KeyboardEvent. */
export function shortcut(key, text, run, signal) {
  const entry = { text, run };
  known.set(key, entry);
  signal?.addEventListener("abort", () => {
    if (known.get(key) === entry) known.delete(key);
  });
}

const typing = (target) => target.closest("input, select, textarea, [contenteditable], dialog");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  if (localStorage.getItem(OFF) && event.key !== "?") return;
  const entry = known.get(event.key);
  if (!entry) return;
  event.preventDefault();
  entry.run(event);
});

export function showShortcuts() {
  const off = h("input", {
    type: "checkbox",
    onchange: () => {
      if (off.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "1");
    },
  });
  off.checked = !localStorage.getItem(OFF);
  const rows = [...known].map(([key, { text }]) =>
    h("tr", {}, h("td", {}, h("kbd", {}, key === " " ? "Space" : key)), h("td", {}, text)),
  );
  const { close } = panel(
    "Keyboard",
    h("table", {}, h("tbody", {}, rows)),
    h(
      "p.soft.small",
      {},
      "On a picture: arrows move, + and − zoom, 0 fits it, 1 shows its own pixels.",
    ),
    h("label.check", {}, off, "Single-key shortcuts are on"),
    h("div.row", {}, h("button.primary", { type: "button", onclick: () => close() }, "Close")),
  );
}
