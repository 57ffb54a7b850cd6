// The forms that make a threshold: from good parts, and from what people said of decisions.
import { api, makeForm } from "../api.js";
import { field, h } from "../dom.js";
import { count, share } from "../format.js";
import { dropZone } from "./drop.js";
import { busy, outcome, toast } from "./states.js";

export function calibrateCard(product, data, again) {
  const known = data.parts,
    support = product.support.length;
  const percent = h("input", {
    type: "number",
    min: 0.1,
    max: 99,
    step: "any",
    inputmode: "decimal",
    required: true,
  });
  const smallest = h("p.hint", { "aria-live": "polite" });
  const good = dropZone("More good parts (optional)", {
    hint: `Others than the product was made from. ${known ? "Without them the scores of the last calibration are taken." : "Without them it is calibrated on its own pictures."}`,
    onchange: advise,
  });
  const defects = dropZone("Defective examples (optional)", {
    hint: "They move no threshold; they tell how many pass.",
  });
  const told = outcome(),
    button = h(
      "button.primary",
      { type: "submit" },
      product.calibrated ? "Calibrate anew" : "Calibrate",
    );
  const regions = Math.max(1, product.regions.filter(Boolean).length);

  function advise() {
    const parts = good.files().length || known || support;
    const least = regions / (parts + 1);
    smallest.textContent =
      parts < 2 && !good.files().length
        ? "One good picture cannot be left out: add good parts below."
        : `${count(parts, "good part")}${regions > 1 ? ` for ${regions} regions` : ""} can promise ${share(least)} at the least, 1 / (n + 1). More good parts allow less.`;
    percent.min = Math.ceil(least * 1000) / 10;
    if (!percent.value || Number(percent.value) < least * 100)
      percent.value = Math.max(5, Math.ceil(least * 1000) / 10);
  }
  advise();
  return h(
    "section.card",
    {},
    h("header", {}, h("h2", {}, product.calibrated ? "Calibrate anew" : "Calibrate")),
    h(
      "form.stack",
      {
        onsubmit: (event) => {
          event.preventDefault();
          busy(button, told, async () => {
            const form = makeForm(
              { alpha: Number(percent.value) / 100 },
              { good: good.files(), defects: defects.files() },
            );
            await api.calibrate(product.name, form);
            toast("The product is calibrated.");
            again();
          });
        },
      },
      field("Good parts that may be rejected, in %", percent),
      smallest,
      good.element,
      defects.element,
      told.element,
      h("div.row", {}, button),
    ),
  );
}

export function recalibrateCard(product, again) {
  const { good_parts: good, defect_parts: defects } = product,
    told = outcome();
  const button = h(
    "button.primary",
    {
      type: "button",
      disabled: !(good + defects),
      onclick: () =>
        busy(button, told, async () => {
          await api.recalibrate(product.name, {});
          toast("Recalibrated with the parts that are kept.");
          again();
        }),
    },
    "Recalibrate",
  );
  return h(
    "section.card.stack",
    {},
    h("h2", {}, "Learn from feedback"),
    h(
      "p",
      {},
      good + defects
        ? `${count(good, "good part")} and ${count(defects, "defective one")} are kept beside the product's own pictures: those brought here, and those of feedback.`
        : "No part is kept yet. Say of decisions whether they are right, and their pictures count here.",
    ),
    told.element,
    h("div.row", {}, button),
  );
}
