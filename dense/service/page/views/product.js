// One product: what it promises, its good pictures and their audit, words, regions, versions; inspecting.
import { api, link } from "../api.js";
import { h } from "../dom.js";
import { count, judged, score, share, when } from "../format.js";
import { icon } from "../icons.js";
import { confirm } from "../parts/dialog.js";
import { inspectCard } from "../parts/inspect.js";
import { productFrame } from "../parts/product_frame.js";
import { regionsCard, wordsCard } from "../parts/product_setup.js";
import { busy, outcome, toast } from "../parts/states.js";
import { can } from "../session.js";

const SHOWN = 8;

export default async function productView({ params: [name], signal, again }) {
  const product = await api.product(name, signal);
  return [
    productFrame(name, product.words, "", reports(name)),
    h(
      "div.two",
      {},
      h(
        "div.stack",
        {},
        stateCard(product),
        can("work") ? inspectCard(product, signal) : null,
        supportCard(product, signal),
      ),
      h(
        "div.stack",
        {},
        wordsCard(product, again),
        regionsCard(product, again),
        versionsCard(product, again),
      ),
    ),
  ];
}

const reports = (name) => [
  can("audit") ? reportLinks(name) : null,
  can("change")
    ? h(
        "a.button",
        { href: link.export(name), download: `${name}.dense` },
        icon("download"),
        "Export",
      )
    : null,
];

const reportLinks = (name) => [
  h(
    "a.button",
    { href: link.report(name, "html"), target: "_blank", rel: "noopener" },
    icon("shield"),
    "Audit report",
  ),
  h(
    "a.button",
    { href: link.report(name, "pdf"), download: `${name}.pdf` },
    icon("download"),
    "PDF",
  ),
];

function stateCard(product) {
  const at = `#/products/${encodeURIComponent(product.name)}/calibration`;
  const { calibrated, guarantee, threshold } = product;
  if (!calibrated) {
    const text = h("span.wide", {}, "No threshold yet: every picture is refused.");
    const link = can("change") ? h("a.button.primary", { href: at }, "Calibrate") : null;
    return h("section.card", {}, h("div.banner.refused", {}, icon("refused"), text, link));
  }
  const promise = guarantee
    ? `At most ${share(guarantee.bound)} of good parts are rejected`
    : `Threshold ${score(threshold)}, set by hand: no promise`;
  const whatIf = h("a.button.small", { href: at }, "What if …");
  return h(
    "section.card.stack",
    {},
    h("div.banner.pass", {}, icon("shield"), h("span.wide", {}, promise), whatIf),
    guarantee ? h("p.small.soft", {}, guarantee.text) : null,
  );
}

function supportCard(product, signal) {
  const told = h("span.soft.small", { "aria-live": "polite" });
  const figures = product.support.map((picture, place) => supportFigure(product, picture, place));
  if (product.support.length >= 3) showAudit(product, figures, told, signal);
  else told.textContent = "three or more are needed to audit them";
  const title = h("h2", {}, count(product.support.length, "good picture"));
  return h("section.card", {}, h("header", {}, title, told), h("div.thumbs", {}, figures));
}

function supportFigure({ name }, picture, place) {
  const image = h("img", {
    src: link.support(name, place, 240),
    alt: `Good picture ${picture.name}`,
    loading: "lazy",
  });
  const size = `${picture.size[1]} × ${picture.size[0]}`;
  return h(
    "figure",
    {},
    h("a", { href: link.support(name, place), target: "_blank", rel: "noopener" }, image),
    h("figcaption", {}, h("div.cut", { title: picture.name }, picture.name), h("div", {}, size)),
  );
}

/** Audits by product and version: they take the server a while and do not change. */
const audits = new Map();

async function showAudit({ name, version }, figures, told, signal) {
  told.textContent = "comparing them with each other …";
  try {
    const key = `${name} ${version}`;
    if (!audits.has(key)) audits.set(key, await api.audit(name, signal));
    const odd = audits.get(key).filter((entry) => entry.findings.length);
    for (const { place, findings } of odd) {
      figures[place].classList.add("flagged");
      figures[place].lastChild.append(...findings.map(({ text }) => h("div.finding", {}, text)));
    }
    told.textContent = odd.length
      ? `${count(odd.length, "picture")} may not belong here`
      : "audit: all alike";
  } catch (error) {
    if (error.name !== "AbortError") told.textContent = error.message;
  }
}

function versionsCard(product, again) {
  const { method, model } = product.product;
  const newest = [...product.versions].sort((a, b) => b.version - a.version).slice(0, SHOWN);
  const told = outcome();
  const line = `${method} on ${model} · ${judged(product.last_decision_at)}`;
  return h(
    "section.card.stack",
    {},
    h("h2", {}, "Versions"),
    h(
      "ol.stack.tight",
      {},
      newest.map((entry) => versionRow(entry, product.version)),
    ),
    h("p.small.soft", {}, line),
    can("change")
      ? h("div.row", {}, undoButton(product, told, again), deleteButton(product, told))
      : null,
    told.element,
  );
}

function versionRow({ version, note, made_at: at }, current) {
  const badge = version === current ? h("span.badge.pass", {}, "in use") : null;
  const head = h("strong", {}, `${version} `);
  return h("li", {}, head, badge, " ", note, h("div.soft.small", {}, when(at)));
}

function undoButton({ name, versions }, told, again) {
  if (versions.length < 2) return null;
  const button = h("button", { type: "button" }, icon("undo"), "Undo the last change");
  const undo = async () => {
    await api.undoProduct(name);
    toast("Back to the version before.");
    again();
  };
  button.addEventListener("click", () => busy(button, told, undo));
  return button;
}

function deleteButton({ name }, told) {
  const button = h("button.danger", { type: "button" }, icon("trash"), "Delete");
  const text = "The product, its pictures and its thresholds go. Its decisions stay in the log.";
  const remove = async () => {
    await api.deleteProduct(name);
    location.hash = "#/";
  };
  button.addEventListener("click", async () => {
    if (await confirm(`Delete ${name}?`, text, "Delete", { danger: true }))
      busy(button, told, remove);
  });
  return button;
}
