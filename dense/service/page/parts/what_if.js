// What another threshold would have done: scores, shares, a line to drag, and what it can promise.
import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { score, share } from "../format.js";
import { curve, handle, plot, swarm } from "../plot.js";
import { can } from "../session.js";
import { busy, outcome, toast } from "./states.js";

/** A threshold that gives up more of the good parts than this is no use, so it is not offered. */
const MOST_PROMISED = 0.5;

export function whatIfCard(name, data, again) {
  const range = scoreRange(data),
    state = { at: data.threshold };
  const words = h("div.stack.tight"),
    actions = h("div.stack.tight"),
    told = outcome();
  const move = (value) => {
    state.at = value;
    draw();
  };
  const scores = plot(
    {
      label: "Scores of good parts and defects with the threshold",
      height: 210,
      x: range,
      y: [0, 1],
      yTicks: [],
      xText: short,
    },
    (frame) => [
      ...scoreMarks(frame, data),
      line(frame, data.threshold, "was"),
      grip(frame, state.at, range, data, move),
    ],
  );
  const shares = plot(
    {
      label: "Shares by threshold",
      height: 220,
      x: range,
      y: [0, 1],
      xLabel: "threshold on the score (higher is more abnormal)",
      yText: share,
      yTicks: [0, 0.25, 0.5, 0.75, 1],
      xText: short,
    },
    (frame) => [
      ...shareCurves(frame, data, range),
      line(frame, data.threshold, "was"),
      line(frame, state.at, "axis"),
    ],
  );

  function draw() {
    const held = scores.element.contains(document.activeElement);
    scores.again();
    shares.again();
    if (held) scores.element.querySelector("[role=slider]")?.focus();
    replace(words, sentences(data, state.at));
    replace(
      actions,
      state.at === data.threshold
        ? null
        : choices(name, data, state.at, told, again, () => move(data.threshold)),
    );
  }
  draw();
  return h(
    "section.card.stack",
    {},
    h(
      "header",
      {},
      h("h2", {}, "What another threshold would have done"),
      h(
        "ul.legend",
        {},
        key("pass", "good parts"),
        data.scores_defect.length ? key("reject", "defects") : null,
        data.recent_total ? key("recent", "recent pictures") : null,
      ),
    ),
    h("p.soft.small", {}, "Drag the line, or move it with the arrow keys."),
    scores.element,
    shares.element,
    words,
    actions,
    told.element,
    table(data),
  );
}

const key = (tone, text) => h(`li.${tone}`, {}, h("i"), text);
const short = (value) => String(Number(value.toPrecision(3)));

function scoreRange({ scores_good: good, scores_defect: bad, threshold, what_if: entries }) {
  const all = [...good, ...bad, threshold, ...entries.map((entry) => entry.threshold)];
  const low = Math.min(...all),
    high = Math.max(...all),
    room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}

/** What an entry says holds from its threshold up to the next one. */
function entryAt({ what_if: entries }, threshold) {
  const all = { good_rejected: 1, defects_passed: 0, recent_rejected: 1 };
  return entries.filter((entry) => entry.threshold <= threshold).at(-1) ?? all;
}

function scoreMarks({ box, x }, data) {
  return [
    swarm(data.scores_good, x, box.top + 52, 46, "pass", "good parts"),
    swarm(data.scores_defect, x, box.top + 118, 46, "reject", "defects"),
  ];
}

function shareCurves({ x, y }, data, [low, high]) {
  const series = (name) =>
    [
      { threshold: low, ...entryAt(data, low) },
      ...data.what_if,
      { ...entryAt(data, high), threshold: high },
    ].map((entry) => [entry.threshold, entry[name]]);
  return [
    data.recent_total ? curve(series("recent_rejected"), x, y, "recent", { steps: true }) : null,
    data.good_total ? curve(series("good_rejected"), x, y, "pass", { steps: true }) : null,
    data.defect_total ? curve(series("defects_passed"), x, y, "reject", { steps: true }) : null,
  ];
}

const line = (frame, value, name) =>
  curve(
    [
      [value, 0],
      [value, 1],
    ],
    frame.x,
    frame.y,
    name,
  );

const grip = (frame, at, [low, high], data, move) =>
  handle(frame, at, {
    low,
    high,
    move,
    label: "Threshold",
    text: score(at),
    say: sentences(data, at)
      .map((p) => p.textContent)
      .join(" "),
  });

function sentences(data, at) {
  const entry = entryAt(data, at),
    parts = [];
  const of = (part, total) => `${Math.round(part * total)} of ${total} (${share(part)})`;
  if (data.good_total)
    parts.push(`${of(entry.good_rejected, data.good_total)} good parts rejected`);
  if (data.defect_total)
    parts.push(`${of(entry.defects_passed, data.defect_total)} defects missed`);
  if (data.recent_total)
    parts.push(`${of(entry.recent_rejected, data.recent_total)} recent pictures rejected`);
  return [
    h("p", {}, h("strong", {}, `At ${score(at)}: `), `${parts.join(", ") || "nothing is known"}.`),
  ];
}

/** With one score a part, rejecting m of n calibration parts is what a promise of (m + 1) / (n + 1) takes. */
function promised(data, at) {
  const { good_total: parts, method } = data;
  if (
    !parts ||
    !["split", "leave-one-out"].includes(method) ||
    Object.keys(data.thresholds).length > 1
  )
    return null;
  const alpha = (Math.round(entryAt(data, at).good_rejected * parts) + 1) / (parts + 1);
  return alpha <= MOST_PROMISED ? alpha : null;
}

function choices(name, data, at, told, again, back) {
  const set = (button, json, text) =>
    busy(button, told, async () => {
      await api.setThreshold(name, json);
      toast(text);
      again();
    });
  const alpha = promised(data, at);
  const hand = h(
    "button",
    {
      type: "button",
      onclick: () => set(hand, { threshold: at }, "The threshold is set by hand."),
    },
    "Use it, without a promise",
  );
  const promise =
    alpha &&
    h(
      "button.primary",
      { type: "button", onclick: () => set(promise, { alpha }, "The threshold is set.") },
      `Promise at most ${share(alpha)}`,
    );
  return h(
    "div.stack.tight",
    {},
    alpha
      ? h(
          "p.small.soft",
          {},
          `From these good parts, a threshold about here can promise: at most ${share(alpha)} of good parts rejected, on average over calibrations.`,
        )
      : h("p.small.soft", {}, "No promise can be made for a threshold here."),
    can("change")
      ? h(
          "div.row",
          {},
          promise,
          hand,
          h("button.plain", { type: "button", onclick: back }, "Back"),
        )
      : h("div.row", {}, h("button", { type: "button", onclick: back }, "Back")),
  );
}

function table(data) {
  const head = ["Threshold", "Good rejected", "Defects missed", "Recent rejected"];
  const of = (total, value) => (total ? share(value) : "–");
  return h(
    "details",
    {},
    h("summary", {}, "The figures as a table"),
    h(
      "div.scroll",
      {},
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h(
          "tbody",
          {},
          data.what_if.map((entry) =>
            h(
              "tr",
              {},
              h("td", {}, score(entry.threshold)),
              h("td", {}, of(data.good_total, entry.good_rejected)),
              h("td", {}, of(data.defect_total, entry.defects_passed)),
              h("td", {}, of(data.recent_total, entry.recent_rejected)),
            ),
          ),
        ),
      ),
    ),
  );
}
