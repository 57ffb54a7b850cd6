// Are the parts of today still like those of the calibration? Scores, distances, and a test that says so.
import { api } from "../api.js";
import { h, s } from "../dom.js";
import { count, score, share, when } from "../format.js";
import { icon } from "../icons.js";
import { productFrame } from "../parts/product_frame.js";
import { empty } from "../parts/states.js";
import { curve, plot, swarm } from "../plot.js";
import { can } from "../session.js";

const TESTS = {
  score: ["Scores", "recent"],
  distance: ["Distances", "refused"],
  "not-passed": ["Share that does not pass", "reject"],
};
const EMPTY = "No decision by this version yet";
const EMPTY_TEXT =
  "Once it has judged pictures, they are compared here with those of its calibration.";

export default async function driftView({ params: [name], signal }) {
  const [product, drift] = await Promise.all([api.product(name, signal), api.drift(name, signal)]);
  const frame = productFrame(name, product.words, "drift");
  if (!drift.series.seq.length) return [frame, empty("history", EMPTY, EMPTY_TEXT)];
  const charts = h("div.stack", {}, scoreCard(drift), distanceCard(drift));
  const tests = h("div.stack", {}, evidenceCard(drift), testsCard(drift));
  return [frame, adviceCard(name, drift), h("div.two", {}, charts, tests)];
}

function adviceCard(name, { alarm, enough, advice, decisions, version, alpha }) {
  const at = `#/products/${encodeURIComponent(name)}/calibration`;
  const [tone, picture] = alarm
    ? [".reject", "warning"]
    : enough
      ? [".pass", "pass"]
      : ["", "history"];
  const link = alarm && can("change") ? h("a.button.small", { href: at }, "Calibrate anew") : null;
  const text = `From ${count(decisions, "decision")} of version ${version}. If nothing drifts, the chance that it ever alarms is at most ${share(alpha)}.`;
  const banner = h(
    `div.banner${tone}`,
    { role: "status" },
    icon(picture),
    h("span.wide", {}, advice),
    link,
  );
  return h("section.card.stack.tight", {}, banner, h("p.small.soft", {}, text));
}

function scoreCard({ series, calibration, shift }) {
  const { threshold, score_quantiles: quantiles } = calibration;
  const moved = shift?.score;
  const text =
    moved &&
    `Parts that passed: median score ${score(moved.median_then)} from the threshold at calibration, ${score(moved.median_now)} now`;
  const chart = seriesPlot("Scores of recent pictures", series, series.score, quantiles, threshold);
  return chartCard(
    "Scores of recent pictures",
    chart,
    quantiles,
    threshold,
    text && text + described(moved),
  );
}

function distanceCard({ series, calibration, shift }) {
  const quantiles = calibration.distance_quantiles;
  const moved = shift?.distance;
  const title = "How far pictures are from the nearest good one";
  const text =
    moved &&
    `Parts that passed: median ${score(moved.median_then)} at calibration, ${score(moved.median_now)} now`;
  const chart = seriesPlot(title, series, series.distance, quantiles, null);
  return chartCard(title, chart, quantiles, null, text && text + described(moved));
}

const described = ({ ks, p }) =>
  `; Kolmogorov-Smirnov distance ${ks.toFixed(2)}, p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`}. This describes; the test is beside it.`;

function chartCard(title, chart, quantiles, threshold, text) {
  if (!chart) return null;
  const band = h("li.calibrated", {}, h("i"), "5 to 95 % of the calibration, and its median");
  const keys = [
    h("li.pass", {}, h("i"), "passed"),
    h("li.reject", {}, h("i"), "rejected"),
    known(quantiles) ? band : null,
    hasValue(threshold) ? h("li", {}, h("i.dashed"), "threshold") : null,
  ];
  return h(
    "section.card.stack.tight",
    {},
    h("h2", {}, title),
    chart.element,
    h("ul.legend", {}, keys),
    text ? h("p.small.soft", {}, text) : null,
  );
}

const hasValue = (value) => value !== null && value !== undefined;
const known = (quantiles) => hasValue(quantiles?.["0.5"]);

/** One value a picture, in the order they came, over the range that the calibration had. */
function seriesPlot(label, series, values, quantiles, threshold) {
  const { seq, verdict } = series;
  const places = [...values.keys()].filter((k) => hasValue(values[k]));
  if (!places.length) return null;
  const marks = known(quantiles) ? [quantiles["0.05"], quantiles["0.95"]] : [];
  const all = [...places.map((k) => values[k]), ...marks, threshold].filter(hasValue);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || 1) * 0.08;
  const options = {
    label: `${label}, oldest left`,
    height: 230,
    x: [-0.5, Math.max(1, values.length - 1) + 0.5],
    y: [low - room, high + room],
    xLabel: "recent pictures by log entry, oldest left",
    xText: (k) => (seq[k] === undefined ? "" : `#${seq[k]}`),
    yText: (value) => String(Number(value.toPrecision(3))),
  };
  return plot(options, ({ box, x, y }) => [
    known(quantiles) ? band(box, y, quantiles) : null,
    hasValue(threshold) ? across(box, y(threshold), "limit") : null,
    places.map((k) =>
      swarm([k], x, y(values[k]), 0, verdict[k], `entry ${seq[k]}: ${score(values[k])}`),
    ),
  ]);
}

function band(box, y, quantiles) {
  const [top, bottom] = [y(quantiles["0.95"]), y(quantiles["0.05"])];
  const size = { width: box.right - box.left, height: Math.max(1, bottom - top) };
  return [
    s("rect.band", { x: box.left, y: top, ...size }),
    across(box, y(quantiles["0.5"]), "median"),
  ];
}

const across = (box, y, name) => s(`path.${name}`, { d: `M${box.left} ${y}H${box.right}` });

/** Evidence against "nothing has changed", on a scale of powers of ten; at the limit it alarms. */
function evidenceCard({ tests }) {
  const power = (value) => Math.log10(Math.max(value, 1e-6));
  const seqs = tests.flatMap((test) => test.curve.map(([seq]) => seq));
  if (!seqs.length) return null;
  const limit = power(tests[0].limit);
  const powers = tests.flatMap((test) => test.curve.map(([, value]) => power(value)));
  const first = Math.min(...seqs);
  const options = {
    label: "Evidence of drift over time",
    height: 230,
    x: [first, Math.max(...seqs, first + 1)],
    y: [Math.min(-1, ...powers), Math.max(limit, ...powers) + 0.3],
    xLabel: "log entry",
    xText: (seq) => (Number.isInteger(seq) ? `#${seq}` : ""),
    yText: (value) => (Number.isInteger(value) ? String(10 ** value) : ""),
  };
  const points = (test) => test.curve.map(([seq, value]) => [seq, power(value)]);
  const chart = plot(options, ({ box, x, y }) => [
    across(box, y(limit), "limit"),
    tests.map((test) => curve(points(test), x, y, TESTS[test.name][1])),
  ]);
  const keys = tests.map(({ name }) => h(`li.${TESTS[name][1]}`, {}, h("i"), TESTS[name][0]));
  const alarm = h("li", {}, h("i.dashed"), "alarm");
  return h(
    "section.card.stack.tight",
    {},
    h("h2", {}, "Evidence of drift"),
    chart.element,
    h("ul.legend", {}, keys, alarm),
  );
}

function testsCard({ tests, series }) {
  const last = `Last picture ${when(series.judged_at.at(-1))}.`;
  return h(
    "section.card.stack.tight",
    {},
    h("h2", {}, "What is tested"),
    tests.map(testRow),
    h("p.small.soft", {}, last),
  );
}

function testRow({ name, text, alarm, alarm_at: at, evidence, highest, limit }) {
  const badge = h(`span.badge.${alarm ? "reject" : "pass"}`, {}, icon(alarm ? "warning" : "pass"));
  badge.append(alarm ? `alarm at entry ${at}` : "calm");
  const figures = `Evidence ${evidence.toPrecision(3)}, highest ${highest.toPrecision(3)}; the alarm is at ${limit}.`;
  const head = h("div.row", {}, h("h3.wide", {}, TESTS[name][0]), badge);
  return h("div.stack.tight", {}, head, h("p.small", {}, text), h("p.small.soft", {}, figures));
}
