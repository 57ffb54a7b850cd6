// All products: what each promises and when it last judged.
import { api, link, makeForm } from "../api.js";
import { h } from "../dom.js";
import { count, judged, score, share } from "../format.js";
import { icon } from "../icons.js";
import { listen } from "../events.js";
import { busy, empty, toast } from "../parts/states.js";
import { can } from "../session.js";
import { shortcut } from "../shortcuts.js";

export default async function products({ signal, again }) {
  const found = await api.products(signal);
  const make = () => h("a.button.primary", { href: "#/new" }, icon("plus"), "New product");
  if (can("change"))
    shortcut(
      "n",
      "New product",
      () => {
        location.hash = "#/new";
      },
      signal,
    );
  listen({ product: again }, signal);
  return [
    h(
      "div.head",
      {},
      h(
        "div.words",
        {},
        h("h1", {}, "Products"),
        h(
          "p.soft",
          {},
          found.length ? count(found.length, "product") : "Nothing is inspected yet.",
        ),
      ),
      can("change") ? h("div.row", {}, importButton(again), make()) : null,
    ),
    found.length
      ? h("ul.grid", {}, found.map(card))
      : empty(
          "products",
          "No product yet",
          can("change")
            ? "One to four good pictures are enough to start: no defects, no labels, no training."
            : "An engineer makes the first one; it then shows here.",
          can("change") ? make() : null,
        ),
  ];
}

function card(product) {
  const { name, words, calibrated, guarantee } = product;
  return h(
    "li",
    {},
    h(
      "a.card.product",
      { href: `#/products/${encodeURIComponent(name)}` },
      h("img.cover", { src: link.support(name, 0, 480), alt: "", loading: "lazy" }),
      h(
        "div.body",
        {},
        h(
          "div.row",
          {},
          h("h2.wide", {}, name),
          calibrated
            ? h("span.badge.pass", {}, icon("pass"), "Ready")
            : h("span.badge.refused", {}, icon("refused"), "No threshold"),
        ),
        words && words !== name ? h("p.soft.cut", {}, words) : null,
        h("p.small", {}, promise(calibrated, guarantee, product.threshold)),
        h(
          "p.small.soft",
          {},
          `Version ${product.version} · ${count(product.support_count, "good picture")} · ${judged(product.last_decision_at)}`,
        ),
      ),
    ),
  );
}

function promise(calibrated, guarantee, threshold) {
  if (!calibrated) return "Calibrate it, then it judges.";
  if (!guarantee) return `Threshold ${score(threshold)}, set by hand: no promise.`;
  return `At most ${share(guarantee.bound)} of good parts rejected.`;
}

function importButton(again) {
  const input = h("input.only-read", {
    type: "file",
    tabindex: "-1",
    "aria-hidden": "true",
    onchange: () =>
      busy(button, null, async () => {
        const made = await api.importProduct(makeForm({}, { file: [...input.files] }));
        toast(`${made.name} is imported.`);
        again();
      }),
  });
  const button = h(
    "button",
    { type: "button", onclick: () => input.click() },
    icon("upload"),
    "Import",
    input,
  );
  return button;
}
