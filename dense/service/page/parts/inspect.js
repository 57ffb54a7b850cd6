// Dropping pictures to have them judged, one after the other, with their verdicts as they come.
import { api } from "../api.js";
import { h } from "../dom.js";
import { count, score } from "../format.js";
import { verdictBadge } from "./badge.js";
import { dropPlace } from "./drop.js";
import { outcome } from "./states.js";

const SHOWN = 8;

export function inspectCard(product, signal) {
  const list = h("ul.rows");
  const told = outcome();
  const queue = [];
  let running = false;
  const hint = product.calibrated
    ? "Each gets a verdict and stands in the log."
    : "Without a threshold every picture is refused.";
  const place = dropPlace("Inspect pictures", { hint, onfiles: take });

  function take(files) {
    told.clear();
    queue.push(...files);
    if (!running) work();
  }
  async function work() {
    running = true;
    while (queue.length && !signal.aborted) {
      place.say(`${count(queue.length, "picture")} to go …`);
      await judge(queue.shift());
    }
    place.say("");
    running = false;
  }
  async function judge(file) {
    try {
      list.prepend(row(await api.inspect(product.name, file, signal)));
      while (list.children.length > SHOWN) list.lastChild.remove();
    } catch (error) {
      if (error.name !== "AbortError") told.wrong(new Error(`${file.name}: ${error.message}`));
    }
  }
  return h("section.card.stack", {}, place.element, told.element, list);
}

function row(decision) {
  const href = `#/decisions/${decision.id}`;
  const source = h("span.wide.cut", {}, decision.source);
  const value = h("span.soft.number", {}, score(decision.score));
  return h("li", {}, h("a.row-link", { href }, verdictBadge(decision.verdict), source, value));
}
