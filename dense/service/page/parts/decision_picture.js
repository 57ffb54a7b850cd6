// The picture of a decision with what was found on it: heat map, defect boxes, mask, words.
import { link } from "../api.js";
import { append, h, newId, s, select } from "../dom.js";
import { VERDICTS } from "../format.js";
import { Viewer } from "./viewer.js";

export class DecisionPicture {
  constructor() {
    this.viewer = new Viewer("Inspected picture");
    this.element = this.viewer.element;
    this.boxes = true;
    this.chosen = -1;
    this.decision = null;
    this.heat = h("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 100,
      id: newId("heat"),
      oninput: () => this.viewer.opacity("map", this.heat.value / 100),
    });
    this.map = h("select", { "aria-label": "Which map", onchange: () => this.#layers() });
    this.boxButton = this.#toggle("Boxes", true, (on) => {
      this.boxes = on;
      this.viewer.place();
    });
    this.maskButton = this.#toggle("Mask", false, () => this.#layers());
    this.tools = h(
      "span.row",
      {},
      h("label", { for: this.heat.id }, "Heat"),
      this.heat,
      this.map,
      this.boxButton,
      this.maskButton,
    );
    append(this.viewer.bar, this.tools);
    this.viewer.paint((toScreen) => this.#paint(toScreen));
  }

  #toggle(text, on, run) {
    const button = h(
      "button",
      {
        type: "button",
        "aria-pressed": String(on),
        onclick: () => {
          const now = button.getAttribute("aria-pressed") !== "true";
          button.setAttribute("aria-pressed", String(now));
          run(now);
        },
      },
      text,
    );
    return button;
  }

  toggleBoxes() {
    this.boxButton.click();
  }

  /** Hide the heat map, or bring it back as it was. */
  toggleHeat() {
    const now = Number(this.heat.value);
    this.heat.value = now ? 0 : this.before || 100;
    this.before = now;
    this.viewer.opacity("map", this.heat.value / 100);
  }

  async show(decision) {
    if (!decision.picture) throw new Error("The picture is not kept any more; the decision is.");
    await this.viewer.show(
      link.picture(decision.id),
      `${decision.source}: ${VERDICTS[decision.verdict]}, ${decision.defects.length} defects`,
    );
    this.decision = decision;
    this.chosen = -1;
    const words = decision.evidence ? (decision.words ?? []) : [];
    this.map.replaceChildren(
      ...select([["", "anomaly"], ...words.map((word) => [word, `“${word}”`])]).children,
    );
    this.map.value = "";
    this.map.hidden = !words.length;
    this.tools.hidden = !decision.evidence && !decision.defects.length;
    this.maskButton.hidden = !decision.evidence || !decision.defects.length;
    this.#layers();
    this.viewer.place();
  }

  choose(place) {
    this.chosen = place;
    if (place >= 0) {
      this.viewer.look(this.decision.defects[place].box);
      this.element.scrollIntoView({ block: "nearest" });
    }
    this.viewer.place();
  }

  #layers() {
    const { id, evidence } = this.decision;
    this.viewer.layer(
      "map",
      evidence ? (this.map.value ? link.word(id, this.map.value) : link.map(id)) : null,
      this.heat.value / 100,
    );
    this.viewer.layer(
      "mask",
      this.maskButton.getAttribute("aria-pressed") === "true" && !this.maskButton.hidden
        ? tint(link.mask(id))
        : null,
      0.6,
    );
  }

  #paint(toScreen) {
    if (!this.boxes || !this.decision) return [];
    return this.decision.defects.flatMap((defect, place) => {
      const [x, y] = toScreen(defect.box[0], defect.box[1]),
        [right, bottom] = toScreen(defect.box[2], defect.box[3]);
      const box = s(`rect.box${place === this.chosen ? ".chosen" : ""}`, {
        x: x - 2,
        y: y - 2,
        width: right - x + 4,
        height: bottom - y + 4,
        rx: 2,
        onpointerdown: (event) => {
          event.stopPropagation();
          this.choose(place);
        },
      });
      return [box, s("text", { x: x - 2, y: y - 7 }, String(place + 1))];
    });
  }
}

/** A colour where a grey picture is white. */
function tint(address) {
  const element = h("div.tint");
  element.style.maskImage = `url("${address}")`;
  return element;
}
