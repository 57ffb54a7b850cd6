// What a decision says, in words and figures: verdict, score, reasons, defects, promise.
import { h } from "../dom.js";
import { area, count, score, share, when } from "../format.js";
import { gauge, verdictBanner } from "./badge.js";

const HEADS = { pass: "Pass", reject: "Reject", refused: "Refused: cannot be judged" };

export const verdictCard = (decision) =>
  h(
    "section.card.stack",
    { "aria-label": "Verdict" },
    verdictBanner(decision, HEADS[decision.verdict]),
    gauge(decision),
    decision.reasons.length
      ? h(
          "ul.stack.tight",
          {},
          decision.reasons.map((reason) =>
            h("li", {}, reason.region ? h("strong", {}, `${reason.region}: `) : null, reason.text),
          ),
        )
      : null,
    decision.regions.length > 1 ? regions(decision.regions) : null,
  );

const regions = (rows) =>
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
          ["Region", "Score", "Threshold"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            h("td", {}, row.name || "whole picture"),
            h("td", {}, score(row.score)),
            h("td", {}, score(row.threshold)),
          ),
        ),
      ),
    ),
  );

/** The defects; `choose(place)` brings one into view. */
export function defectList(decision, choose) {
  if (!decision.defects.length) return null;
  const rows = decision.defects.map((defect, place) =>
    h(
      "li",
      {},
      h(
        "button.plain.defect",
        { type: "button", onclick: () => choose(place) },
        h("span.badge.reject", {}, String(place + 1)),
        h(
          "span.wide",
          {},
          h("strong", {}, area(defect)),
          h(
            "span.soft.small",
            {},
            ` at ${defect.centre.map(Math.round).join(", ")} · peak ${score(defect.peak)}${defect.region ? ` · ${defect.region}` : ""}`,
          ),
          words(defect),
        ),
      ),
    ),
  );
  return h(
    "section.card.stack.tight",
    {},
    h("h2", {}, count(decision.defects.length, "defect")),
    h("ol.defects", {}, rows),
  );
}

const words = (defect) => {
  const [first] = Object.entries(defect.words);
  return first ? h("span.small", {}, `most like “${first[0]}” (${share(first[1])})`) : null;
};

export const factCard = (decision) => {
  const fact = (name, value) =>
    value === null || value === undefined ? null : [h("dt", {}, name), h("dd", {}, value)];
  return h(
    "section.card.stack",
    {},
    h("h2", {}, "Facts"),
    h(
      "dl.facts",
      {},
      fact(
        "Product",
        h(
          "a",
          { href: `#/products/${encodeURIComponent(decision.product)}` },
          `${decision.product}, version ${decision.version}`,
        ),
      ),
      fact("Judged", when(decision.judged_at)),
      fact("Source", decision.source),
      fact("Score", score(decision.score)),
      fact("Threshold", score(decision.threshold)),
      fact(
        "Picture",
        decision.image_size ? `${decision.image_size[1]} × ${decision.image_size[0]} pixels` : null,
      ),
      fact("Took", `${(decision.seconds * 1000).toFixed(0)} ms`),
      fact("Log entry", decision.seq),
      fact("Decision", h("code", {}, decision.id)),
      fact("Content", h("code.small", {}, decision.content_sha256)),
    ),
    decision.guarantee ? h("p.small.soft", {}, decision.guarantee.text) : null,
  );
};
