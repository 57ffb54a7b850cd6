// Drawing where to look and what to ignore: polygons on a picture, by pointer or keyboard.
import { h, replace, s } from "../dom.js";
import { icon } from "../icons.js";
import { Viewer } from "./viewer.js";

const NEAR = 12;
const STEP = 10;

export class RegionEditor {
  constructor() {
    this.viewer = new Viewer("Picture to draw regions on");
    this.regions = [];
    this.draft = null;
    this.cursor = null;
    this.list = h("ul.stack.tight");
    this.told = h("p.small.soft", { "aria-live": "polite" });
    const start = (kind, text) =>
      h("button", { type: "button", onclick: () => this.#start(kind) }, icon("polygon"), text);
    this.element = h(
      "div.stack",
      {},
      h("div.row", {}, start("look", "Draw where to look"), start("ignore", "Draw what to ignore")),
      this.told,
      this.viewer.element,
      this.list,
    );
    this.viewer.paint((toScreen) => this.#paint(toScreen));
    this.viewer.onclick = (point) => this.#corner(point);
    this.viewer.stage.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    this.#say();
  }

  show(src) {
    return this.viewer.show(src, "Good picture");
  }

  /** {"regions": {name: corners}, "ignore": [corners]}; null if nothing is drawn. */
  content() {
    if (!this.regions.length) return null;
    const looked = this.regions.filter((region) => region.kind === "look");
    const names = looked.map((region, place) => region.name.value.trim() || `region ${place + 1}`);
    if (new Set(names).size < names.length)
      throw new Error("Two regions have the same name: each needs its own.");
    return {
      regions: Object.fromEntries(looked.map((region, place) => [names[place], region.points])),
      ignore: this.regions
        .filter((region) => region.kind === "ignore")
        .map((region) => region.points),
    };
  }

  #start(kind) {
    this.draft = { kind, points: [] };
    this.cursor = null;
    this.viewer.stage.classList.add("draw");
    this.viewer.stage.focus();
    this.#say();
  }

  #say() {
    this.told.textContent = this.draft
      ? "Click corner after corner; the first corner or Enter closes it, Backspace takes the last back, Escape leaves. By keyboard: arrows move the cross, Space sets a corner."
      : "Without regions the whole picture is looked at. Drag the corners to change a region.";
    this.viewer.place();
  }

  #inside([x, y]) {
    const { width, height } = this.viewer.size;
    return [
      Math.round(Math.min(width, Math.max(0, x)) * 10) / 10,
      Math.round(Math.min(height, Math.max(0, y)) * 10) / 10,
    ];
  }

  #corner(point) {
    if (!this.draft) return;
    const { points } = this.draft;
    if (points.length >= 3) {
      const [ax, ay] = this.viewer.toScreen(...points[0]),
        [bx, by] = this.viewer.toScreen(...point);
      if (Math.hypot(ax - bx, ay - by) < NEAR) return this.#close();
    }
    points.push(this.#inside(point));
    this.viewer.place();
  }

  #close() {
    const { kind, points } = this.draft;
    if (points.length >= 3) this.#add(kind, points);
    this.#leave();
  }

  #leave() {
    this.draft = this.cursor = null;
    this.viewer.stage.classList.remove("draw");
    this.#say();
  }

  #add(kind, points) {
    const number = this.regions.filter((region) => region.kind === kind).length + 1;
    const region = { kind, points };
    region.name = h("input", {
      type: "text",
      value: kind === "look" ? `region ${number}` : "",
      maxlength: 64,
      "aria-label": "Name of the region",
    });
    const gone = h(
      "button.plain.danger",
      {
        type: "button",
        "aria-label": "Remove the region",
        onclick: () => {
          this.regions = this.regions.filter((other) => other !== region);
          region.row.remove();
          this.viewer.place();
        },
      },
      icon("trash"),
    );
    region.row = h(
      "li.row",
      {},
      h(
        `span.badge.${kind === "look" ? "pass" : "refused"}`,
        {},
        kind === "look" ? "look" : "ignore",
      ),
      kind === "look"
        ? h("span.wide", {}, region.name)
        : h("span.wide.soft", {}, `ignored place ${number}`),
      gone,
    );
    this.regions.push(region);
    this.list.append(region.row);
  }

  #key(event) {
    if (!this.draft) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { width, height } = this.viewer.size;
    this.cursor ??= moves[event.key] || event.key === " " ? [width / 2, height / 2] : null;
    if (moves[event.key]) {
      const step = (event.shiftKey ? 5 * STEP : STEP) / this.viewer.scale;
      this.cursor = this.#inside([
        this.cursor[0] + moves[event.key][0] * step,
        this.cursor[1] + moves[event.key][1] * step,
      ]);
    } else if (event.key === " ") this.#corner(this.cursor);
    else if (event.key === "Enter") this.#close();
    else if (event.key === "Escape") this.#leave();
    else if (event.key === "Backspace") this.draft.points.pop();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.viewer.place();
  }

  #paint(toScreen) {
    const line = (points) => points.map(([x, y]) => toScreen(x, y).join(",")).join(" ");
    const shapes = this.regions.map((region) => [
      s(`polygon.area.${region.kind}`, { points: line(region.points) }),
      region.points.map((point, place) => this.#grip(region, place, toScreen(...point))),
    ]);
    if (this.draft) {
      shapes.push(s(`polyline.area.${this.draft.kind}`, { points: line(this.draft.points) }));
      shapes.push(
        this.draft.points.map((point) => {
          const [cx, cy] = toScreen(...point);
          return s("circle.grip", { cx, cy, r: 5 });
        }),
      );
    }
    if (this.cursor) {
      const [x, y] = toScreen(...this.cursor);
      shapes.push(s("path.cross", { d: `M${x - 14} ${y}h28M${x} ${y - 14}v28` }));
    }
    return shapes.flat(3);
  }

  /** A corner that can be dragged. The marks are drawn anew at each move, so the window listens. */
  #grip(region, place, [cx, cy]) {
    return s("circle.grip.held", {
      cx,
      cy,
      r: 6,
      onpointerdown: (event) => {
        event.stopPropagation();
        const move = (next) => {
          region.points[place] = this.#inside(this.viewer.toPicture(next));
          this.viewer.place();
        };
        const drop = () => {
          window.removeEventListener("pointermove", move);
          window.removeEventListener("pointerup", drop);
        };
        window.addEventListener("pointermove", move);
        window.addEventListener("pointerup", drop);
      },
    });
  }
}
