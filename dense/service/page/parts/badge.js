// How a verdict, its score and its feedback look; never by colour alone.
import { h } from "../dom.js";
import { FEEDBACK, score, VERDICTS } from "../format.js";
import { icon } from "../icons.js";

const tone = (verdict) => (verdict in VERDICTS ? verdict : "none");

export const verdictBadge = (verdict) =>
  h(`span.badge.${tone(verdict)}`, {}, icon(tone(verdict)), VERDICTS[verdict] ?? verdict);

export const verdictBanner = (decision, text) =>
  h(
    `div.banner.large.${tone(decision.verdict)}`,
    { role: "status" },
    icon(tone(decision.verdict)),
    h("span", {}, text ?? VERDICTS[decision.verdict] ?? decision.verdict),
  );

const FEEDBACK_ICONS = { right: "pass", "false-alarm": "warning", missed: "reject" };

export const feedbackBadge = (feedback) =>
  h(
    "span.badge",
    {},
    icon(FEEDBACK_ICONS[feedback.kind] ?? "help"),
    FEEDBACK[feedback.kind] ?? feedback.kind,
  );

/** A bar from good to bad with the threshold and where this picture stands. */
export function gauge(decision) {
  const { score: value, threshold } = decision;
  if (value === null || threshold === null) return null;
  const top = Math.max(threshold * 2, value * 1.1, 1e-9);
  const bottom = Math.min(0, value, threshold);
  const place = (v) => `${(100 * (v - bottom)) / (top - bottom)}%`;
  const here = h(`i.${tone(decision.verdict)}`),
    limit = h("b.limit"),
    text = h("span", {}, `threshold ${score(threshold)}`);
  const bar = h(
    "div.gauge",
    { role: "img", "aria-label": `Score ${score(value)}, threshold ${score(threshold)}` },
    limit,
    here,
    text,
  );
  bar.style.setProperty("--at", place(threshold));
  here.style.left = place(value);
  limit.style.left = place(threshold);
  text.style.left = `clamp(54px, ${place(threshold)}, calc(100% - 54px))`;
  return bar;
}
