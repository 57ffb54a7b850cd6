// One decision: its picture with maps and boxes, what it says, feedback; next and previous.
import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { icon } from "../icons.js";
import { defectList, factCard, verdictCard } from "../parts/decision_facts.js";
import { DecisionPicture } from "../parts/decision_picture.js";
import { feedbackCard } from "../parts/feedback.js";
import { shortcut } from "../shortcuts.js";

export default async function decisionView({ params: [id], query, signal }) {
  const decision = await api.decision(id, signal);
  const picture = new DecisionPicture();
  const place = h("div", {}, picture.element);
  const shown = picture
    .show(decision)
    .catch((error) =>
      replace(place, h("div.card.state", {}, icon("picture"), h("p", {}, error.message))),
    );
  shown.then(() => {
    if (decision.verdict === "reject" && decision.defects.length === 0) picture.viewer.fit();
  });
  shortcut("b", "Boxes on and off", () => picture.toggleBoxes(), signal);
  shortcut("m", "Heat map on and off", () => picture.toggleHeat(), signal);
  const { older, newer } = neighbours(decision, query, signal);
  return [
    h(
      "div.head",
      {},
      h(
        "div.words",
        {},
        h(
          "p.crumb",
          {},
          h("a", { href: `#/history?${query}` }, "History"),
          " · ",
          h("a", { href: `#/products/${encodeURIComponent(decision.product)}` }, decision.product),
        ),
        h("h1", {}, decision.source),
      ),
      h("div.row", {}, newer, older),
    ),
    h(
      "div.two",
      {},
      place,
      h(
        "div.stack",
        {},
        verdictCard(decision),
        feedbackCard(decision, signal),
        defectList(decision, (k) => picture.choose(k)),
        factCard(decision),
      ),
    ),
  ];
}

/** Links to the decisions beside this one, under the same filters. */
function neighbours(decision, query, signal) {
  const filters = Object.fromEntries(query);
  const anchor = (name, text) =>
    h("a.button.round", { "aria-label": text, title: text, "aria-disabled": "true" }, icon(name));
  const older = anchor("next", "Older (j)"),
    newer = anchor("back", "Newer (k)");
  const point = (element, found) => {
    if (!found) return;
    element.href = `#/decisions/${found.id}?${query}`;
    element.removeAttribute("aria-disabled");
  };
  api
    .decisions({ ...filters, before: decision.seq, limit: 1 }, signal)
    .then(({ items }) => point(older, items[0]))
    .catch(() => null);
  findNewer(decision, filters, signal)
    .then((found) => point(newer, found))
    .catch(() => null);
  shortcut("j", "Older decision", () => older.href && older.click(), signal);
  shortcut("k", "Newer decision", () => newer.href && newer.click(), signal);
  return { older, newer };
}

/** Pages lead to older ones only, so the next newer one is looked for on the pages before. */
async function findNewer(decision, filters, signal) {
  let before;
  for (let page = 0; page < 5; page += 1) {
    const { items, next } = await api.decisions({ ...filters, before, limit: 100 }, signal);
    const newer = items.filter((item) => item.seq > decision.seq);
    if (newer.length < items.length || !next) return newer.at(-1);
    before = next;
  }
  return undefined;
}
