// The head of all views of one product: where it is, its name, its tabs.
import { h } from "../dom.js";

const TABS = [
  ["", "Overview"],
  ["calibration", "Calibration"],
  ["drift", "Drift"],
];

export function productFrame(name, words, current, ...actions) {
  const at = `#/products/${encodeURIComponent(name)}`,
    query = `?product=${encodeURIComponent(name)}`;
  const tab = (href, text, here) => h("a", { href, "aria-current": here ? "page" : null }, text);
  return [
    h(
      "div.head",
      {},
      h(
        "div.words",
        {},
        h("p.crumb", {}, h("a", { href: "#/" }, "Products")),
        h("h1", {}, name),
        words && words !== name ? h("p.soft", {}, words) : null,
      ),
      h("div.row", {}, actions),
    ),
    h(
      "nav.tabs",
      { "aria-label": `Of ${name}` },
      TABS.map(([path, text]) => tab(path ? `${at}/${path}` : at, text, path === current)),
      tab(`#/live${query}`, "Live"),
      tab(`#/history${query}`, "History"),
    ),
  ];
}
