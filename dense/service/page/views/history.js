// Past decisions with filters; the address keeps the filters, so a view can be sent to a colleague.
import { api, link } from "../api.js";
import { field, h, select } from "../dom.js";
import { FEEDBACK, score, VERDICTS, when } from "../format.js";
import { icon } from "../icons.js";
import { feedbackBadge, verdictBadge } from "../parts/badge.js";
import { busy, empty, outcome } from "../parts/states.js";
import { shortcut } from "../shortcuts.js";

const PAGE = 30;

export default async function history({ query, signal }) {
  const filters = Object.fromEntries([...query].filter(([, value]) => value));
  const [products, page] = await Promise.all([
    api.products(signal),
    api.decisions({ ...zoned(filters), limit: PAGE }, signal),
  ]);
  const list = h("ul.decisions"),
    told = outcome();
  let next = page.next;
  const more = h(
    "button",
    {
      type: "button",
      onclick: () =>
        busy(more, told, async () => {
          const found = await api.decisions(
            { ...zoned(filters), before: next, limit: PAGE },
            signal,
          );
          const first = list.children.length;
          add(found);
          list.children[first]?.querySelector("a")?.focus();
        }),
    },
    "Show older ones",
  );
  function add({ items, next: after }) {
    list.append(...items.map((item) => row(item, query)));
    next = after;
    more.hidden = !after;
  }
  add(page);
  const form = filterForm(filters, products);
  shortcut("/", "Search", () => form.querySelector("input[type=search]").focus(), signal);
  const filtered = Object.keys(filters).length > 0;
  return [
    h("div.head", {}, h("div.words", {}, h("h1", {}, "History"))),
    form,
    page.items.length
      ? h("section.card", {}, list, h("div.row.more", {}, more), told.element)
      : empty(
          "history",
          filtered ? "Nothing like that" : "No decision yet",
          filtered
            ? "No decision fits these filters."
            : "Every inspected picture will stand here, with its maps and its place in the log.",
          filtered ? h("a.button", { href: "#/history" }, "Show all") : null,
        ),
  ];
}

/** Days are the reader's own: from their midnight to the next. */
function zoned({ since, until, ...others }) {
  const start = (day, plus) => {
    const date = new Date(`${day}T00:00:00`);
    date.setDate(date.getDate() + plus);
    return date.toISOString();
  };
  return { ...others, since: since && start(since, 0), until: until && start(until, 1) };
}

const LABELS = {
  product: "Product",
  verdict: "Verdict",
  feedback: "Feedback",
  since: "From",
  until: "To",
  text: "Search",
};
let changed = "";

/**
 * The filters: choices count at once, what is typed by Enter or the button. The one that was
 * changed keeps the focus, though the view is made anew.
 */
function filterForm(filters, products) {
  const controls = filterControls(filters, products);
  controls[changed]?.setAttribute("data-focus", "");
  changed = "";
  const go = (event) => {
    event.preventDefault();
    const found = Object.entries(controls).map(([name, { value }]) => [name, value.trim()]);
    const given = new URLSearchParams(found.filter(([, value]) => value));
    changed = Object.keys(controls).find((name) => controls[name] === document.activeElement) ?? "";
    location.hash = given.size ? `#/history?${given}` : "#/history";
  };
  for (const control of Object.values(controls)) {
    if (control.localName === "select") control.addEventListener("change", go);
  }
  const fields = Object.entries(controls).map(([name, control]) => field(LABELS[name], control));
  const button = h("button", { type: "submit" }, "Filter");
  return h("form.card.filters", { role: "search", onsubmit: go }, fields, button);
}

function filterControls(filters, products) {
  const any = (names) => [["", "All"], ...names];
  const names = products.map(({ name }) => name);
  if (filters.product && !names.includes(filters.product)) names.push(filters.product); // deleted
  const day = (value) => h("input", { type: "date", value: value ?? "" });
  return {
    product: select(any(names.map((name) => [name, name])), filters.product),
    verdict: select(any(Object.entries(VERDICTS)), filters.verdict),
    feedback: select(any(Object.entries(FEEDBACK)), filters.feedback),
    since: day(filters.since),
    until: day(filters.until),
    text: h("input", {
      type: "search",
      value: filters.text ?? "",
      placeholder: "file name, reason …",
      maxlength: 200,
    }),
  };
}

function row(item, query) {
  const href = `#/decisions/${item.id}${query.size ? `?${query}` : ""}`;
  return h(
    "li",
    {},
    h(
      "a.row-link",
      { href },
      item.picture
        ? h("img.thumb", { src: link.picture(item.id, 160), alt: "", loading: "lazy" })
        : h("span.thumb.gone", {}, icon("picture")),
      h(
        "span.main",
        {},
        h("strong.cut", {}, item.source),
        h("span.soft.small.cut", {}, item.reasons[0]?.text ?? "No defect found"),
      ),
      h(
        "span.side",
        {},
        verdictBadge(item.verdict),
        item.feedback ? feedbackBadge(item.feedback) : null,
      ),
      h(
        "span.side.right",
        {},
        h("span.cut", {}, item.product),
        h("span.soft.small.number", {}, score(item.score)),
      ),
      h("span.side.right.soft.small.number", {}, when(item.judged_at)),
    ),
  );
}
