// The threshold: what it rests on, what it promises, and what another one would have done.
import { api } from "../api.js";
import { h } from "../dom.js";
import { CALIBRATIONS, count, share } from "../format.js";
import { icon } from "../icons.js";
import { calibrateCard, recalibrateCard } from "../parts/calibrate.js";
import { productFrame } from "../parts/product_frame.js";
import { whatIfCard } from "../parts/what_if.js";
import { can } from "../session.js";

export default async function calibrationView({ params: [name], signal, again }) {
  const [product, data] = await Promise.all([
    api.product(name, signal),
    api.calibration(name, signal),
  ]);
  const known = data.threshold !== null;
  return [
    productFrame(name, product.words, "calibration"),
    h(
      "div.two",
      {},
      h("div.stack", {}, known ? whatIfCard(name, data, again) : noneCard()),
      h(
        "div.stack",
        {},
        known ? promiseCard(data) : null,
        can("change")
          ? [calibrateCard(product, data, again), known ? recalibrateCard(product, again) : null]
          : h("p.card.soft", {}, "Engineers set thresholds; here you see what they rest on."),
      ),
    ),
  ];
}

const noneCard = () =>
  h(
    "section.card.state",
    {},
    icon("shield"),
    h("h2", {}, "No threshold yet"),
    h(
      "p",
      {},
      "Say which share of good parts may be lost. The threshold follows from scores of good parts, and with it a promise: no defect is needed.",
    ),
  );

function promiseCard(data) {
  const { guarantee, escape } = data;
  return h(
    "section.card.stack.tight",
    {},
    h("h2", {}, "What it promises"),
    guarantee
      ? [h("p.figure", {}, `≤ ${share(guarantee.bound)}`), h("p", {}, guarantee.text)]
      : h("p", {}, "Nothing: the threshold was set by hand."),
    escape
      ? h(
          "p.small.soft",
          {},
          `Of ${count(escape.examples, "defective example")} ${escape.passed} would pass (${share(escape.interval[0])} to ${share(escape.interval[1])} with 95 % confidence). Nothing is promised about defects.`,
        )
      : null,
    data.parts
      ? h("p.small.soft", {}, `Scores are of ${CALIBRATIONS[data.method] ?? data.method}.`)
      : null,
  );
}
