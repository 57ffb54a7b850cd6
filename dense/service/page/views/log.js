// The log of everything that happened, each entry chained to the one before; and its verification.
import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { count, when } from "../format.js";
import { icon } from "../icons.js";
import { busy, empty, outcome } from "../parts/states.js";

const PAGE = 50;
const COLUMNS = ["Entry", "When", "What", "Product", "By", "Hash"];
const ABOUT =
  "Every decision, feedback and change. Each entry carries the hash of the one before: what is changed afterwards is found.";

export default async function log({ signal }) {
  const { head } = await api.log({ limit: 1 }, signal);
  const told = outcome();
  const verdict = h("div", { "aria-live": "polite" });
  const verify = h("button.primary", { type: "button" }, icon("shield"), "Verify the log");
  verify.addEventListener("click", () =>
    busy(verify, told, async () => replace(verdict, outcomeOf(await api.verifyLog()))),
  );
  const words = h("div.words", {}, h("h1", {}, "Log"), h("p.soft", {}, ABOUT));
  const content = head
    ? await entryTable(head, told, signal)
    : empty("log", "Nothing has happened yet", "The first product or decision starts the chain.");
  return [h("div.head", {}, words, h("div.row", {}, verify)), verdict, told.element, content];
}

/** The newest entries come first; the server counts from the oldest. */
async function entryTable(head, told, signal) {
  const body = h("tbody");
  let first = head + 1;
  const more = h("button", { type: "button" }, "Show older ones");
  more.addEventListener("click", () => busy(more, told, older));
  async function older() {
    const after = Math.max(0, first - 1 - PAGE);
    const { items } = await api.log({ after, limit: first - 1 - after }, signal);
    body.append(...items.reverse().map(row));
    first = after + 1;
    more.hidden = first <= 1;
  }
  await older();
  const names = COLUMNS.map((text) => h("th", { scope: "col" }, text));
  const table = h("table.log", {}, h("thead", {}, h("tr", {}, names)), body);
  return h("section.card", {}, h("div.scroll", {}, table), h("div.row.more", {}, more));
}

function outcomeOf({ ok, entries, broken_at: at, why, head_hash: hash }) {
  const text = ok
    ? `${count(entries, "entry", "entries")} verified: nothing was changed.`
    : `The log is broken at entry ${at}: ${why}`;
  const banner = h(`div.banner.${ok ? "pass" : "reject"}`, {}, icon(ok ? "shield" : "warning"));
  banner.append(h("span", {}, text));
  const keep = ". Keep it elsewhere: it shows later whether the end was cut off.";
  return h(
    "section.card.stack.tight",
    {},
    banner,
    hash ? h("p.small.soft", {}, "Head ", h("code", {}, hash), keep) : null,
  );
}

/** An entry, and below it, opened by its number, what it says. */
function row(entry) {
  const body = h("pre.json", {}, JSON.stringify(entry.body, null, 2));
  const hash = h("p.small", {}, "Hash ", h("code", {}, entry.hash));
  const before = h("p.small", {}, "Of the entry before ", h("code", {}, entry.previous_hash));
  const detail = h(
    "tr",
    { hidden: true },
    h("td", { colspan: COLUMNS.length }, body, hash, before),
  );
  const open = h("button.plain.small", { type: "button", "aria-expanded": "false" }, entry.seq);
  open.addEventListener("click", () => {
    detail.hidden = !detail.hidden;
    open.setAttribute("aria-expanded", String(!detail.hidden));
  });
  const alarm = entry.kind === "drift" ? h("p.small", {}, entry.body.text) : null;
  const cells = [
    open,
    when(entry.made_at),
    h("div", {}, h(`span.badge${alarm ? ".reject" : ""}`, {}, entry.kind), alarm),
    entry.product || "–",
    entry.actor || "–",
    h("code.soft", {}, entry.hash.slice(0, 10)),
  ];
  const fragment = document.createDocumentFragment();
  fragment.append(
    h(
      "tr",
      {},
      cells.map((cell) => h("td", {}, cell)),
    ),
    detail,
  );
  return fragment;
}
