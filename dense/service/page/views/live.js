// Decisions as they are made: the newest large, the ones before beside it, and how many of which.
import { api, link } from "../api.js";
import { h, replace, select } from "../dom.js";
import { clock, score, share, VERDICTS } from "../format.js";
import { icon } from "../icons.js";
import { listen } from "../events.js";
import { verdictBadge, verdictBanner } from "../parts/badge.js";
import { DecisionPicture } from "../parts/decision_picture.js";
import { shortcut } from "../shortcuts.js";

const SHOWN = 24;
const STATES = {
  live: ["pass", "Live"],
  waiting: ["refused", "Connecting …"],
  closed: ["reject", "Not connected"],
};

export default async function live({ query, signal }) {
  const chosen = query.get("product") ?? "";
  const [products, { items }] = await Promise.all([
    api.products(signal),
    api.decisions({ product: chosen, limit: SHOWN }, signal),
  ]);
  const screen = newestScreen();
  const stream = decisionStream((decision) => {
    pause.hold();
    screen.show(decision);
  });
  const pause = pauseButton(() => screen.show(stream.newest()));
  const state = stateBadge();
  items.reverse().forEach(stream.add);
  screen.show(stream.newest());
  const came = (decision) => {
    if ((chosen && decision.product !== chosen) || !stream.add(decision)) return;
    if (!pause.held()) screen.show(decision);
  };
  listen({ state: state.say, decision: came }, signal);
  shortcut(" ", "Hold the picture, and go on", () => pause.click(), signal);
  shortcut("b", "Boxes on and off", () => screen.picture.toggleBoxes(), signal);
  shortcut("m", "Heat map on and off", () => screen.picture.toggleHeat(), signal);
  const words = h("div.words", {}, h("h1", {}, "Live"), state.element);
  return [
    h("div.head", {}, words, h("div.row", {}, productFilter(products, chosen), pause)),
    h("div.two.live", {}, screen.element, stream.element),
  ];
}

function productFilter(products, chosen) {
  const names = products.map(({ name }) => [name, name]);
  const filter = select([["", "All products"], ...names], chosen, { "aria-label": "Product" });
  filter.addEventListener("change", () => {
    const query = filter.value ? `?product=${encodeURIComponent(filter.value)}` : "";
    location.hash = `#/live${query}`;
  });
  return filter;
}

/** Whether the stream of events is there. */
function stateBadge() {
  const element = h("span", { role: "status" });
  const say = (name) => {
    const [tone, text] = STATES[name];
    replace(element, h(`span.badge.${tone}`, {}, h("b.pulse", { "aria-hidden": "true" }), text));
  };
  say("waiting");
  return { element, say };
}

/** The last decisions, newest first, and how many have which verdict. */
function decisionStream(choose) {
  const list = h("ul.rows", { "aria-label": "Decisions, newest first" });
  const counts = counter(list);
  /** False for one that is there already. */
  function add(decision) {
    if (list.querySelector(`[data-id="${CSS.escape(decision.id)}"]`)) return false;
    list.prepend(streamRow(decision, () => choose(decision)));
    while (list.children.length > SHOWN) list.lastChild.remove();
    counts.show();
    return true;
  }
  const newest = () => list.firstChild?.decision;
  const card = h("section.card", {}, h("header", {}, h("h2", {}, "Newest first")), list);
  return { element: h("div.stack", {}, counts.element, card), add, newest };
}

function pauseButton(resumed) {
  let on = false;
  const button = h("button", {
    type: "button",
    title: "Space",
    onclick: () => {
      set(!on);
      if (!on) resumed();
    },
  });
  function set(value) {
    on = value;
    replace(button, icon(on ? "play" : "pause"), on ? "Go on" : "Hold");
    button.setAttribute("aria-pressed", String(on));
  }
  set(false);
  return Object.assign(button, { held: () => on, hold: () => set(true) });
}

/** The newest picture; while one loads, only the last that came meanwhile is shown after it. */
function newestScreen() {
  const picture = new DecisionPicture(),
    head = h("div"),
    told = h("p.soft", {});
  const body = h("div.stack", {}, head, told, picture.element);
  let busy = false,
    next = null;
  async function show(decision) {
    if (busy) {
      next = decision;
      return;
    }
    picture.element.hidden = !decision;
    told.textContent = decision
      ? ""
      : "Waiting for the first picture. Drop one on a product's page, send one to the API, or start a camera with dense watch.";
    if (!decision) {
      replace(head);
      return;
    }
    busy = true;
    await picture.show(decision).catch((error) => {
      told.textContent = error.message;
      picture.element.hidden = true;
    });
    replace(
      head,
      h(
        "a.plain-link",
        { href: `#/decisions/${decision.id}` },
        verdictBanner(
          decision,
          `${VERDICTS[decision.verdict]} · ${decision.product} · ${decision.source}`,
        ),
      ),
      decision.reasons.length
        ? h("p.under", {}, decision.reasons.map((reason) => reason.text).join(" "))
        : null,
    );
    busy = false;
    const waiting = next;
    next = null;
    if (waiting) show(waiting);
  }
  return { element: body, picture, show };
}

function streamRow(decision, choose) {
  const row = h(
    "li",
    { "data-id": decision.id },
    h(
      "button.plain.row-link",
      { type: "button", onclick: choose },
      decision.picture
        ? h("img.thumb", { src: link.picture(decision.id, 160), alt: "", loading: "lazy" })
        : h("span.thumb"),
      h(
        "span.wide.stack.tight",
        {},
        h(
          "span.row",
          {},
          verdictBadge(decision.verdict),
          h("span.soft.small.number", {}, clock(decision.judged_at)),
        ),
        h("span.cut.small", {}, `${decision.product} · ${decision.source}`),
      ),
      h("span.soft.number", {}, score(decision.score)),
    ),
  );
  row.decision = decision;
  return row;
}

/** How many of the decisions that are listed have which verdict. */
function counter(stream) {
  const element = h("section.card.counts", { "aria-label": "Of those listed" });
  function show() {
    const verdicts = [...stream.children].map((row) => row.decision.verdict);
    replace(
      element,
      Object.entries(VERDICTS).map(([verdict, text]) => {
        const number = verdicts.filter((other) => other === verdict).length;
        return h(
          `div.${verdict}`,
          {},
          h("strong.number", {}, number),
          h(
            "span.soft.small",
            {},
            text,
            verdicts.length ? ` ${share(number / verdicts.length)}` : "",
          ),
        );
      }),
    );
  }
  show();
  return { element, show };
}
