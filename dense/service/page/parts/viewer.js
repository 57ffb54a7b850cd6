// A picture at its original resolution with layers over it: zoom, pan, pinch, keyboard.
// Places are (x, y) in pixels of the picture; the screen is the stage. Layers lie in the sheet,
// which has the picture's own size and is scaled; marks are drawn on the screen at every move.
import { h, replace, s } from "../dom.js";
import { icon } from "../icons.js";

const MOST = 40;
const CLICK = 5;

export class Viewer {
  /** @param label What the picture shows, for screen readers. */
  constructor(label) {
    this.sheet = h("div.sheet");
    this.marks = s("svg.marks", { "aria-hidden": "true" });
    this.stage = h(
      "div.stage",
      {
        tabindex: "0",
        role: "group",
        "aria-label": `${label}. Arrows move, plus and minus zoom, 0 fits.`,
      },
      this.sheet,
      this.marks,
    );
    this.zoomText = h("span.zoom.number", { "aria-label": "Zoom" });
    const button = (name, text, run) =>
      h("button", { type: "button", title: text, "aria-label": text, onclick: run }, icon(name));
    this.bar = h(
      "div.viewer-bar",
      { role: "toolbar", "aria-label": "Picture" },
      button("minus", "Zoom out", () => this.zoom(1 / 1.5)),
      button("plus", "Zoom in", () => this.zoom(1.5)),
      button("fit", "Fit (0)", () => this.fit()),
      h(
        "button",
        {
          type: "button",
          title: "Own pixels (1)",
          "aria-label": "Own pixels",
          onclick: () => this.own(),
        },
        "1:1",
      ),
      this.zoomText,
    );
    this.element = h("div.viewer", {}, this.stage, this.bar);
    this.size = { width: 1, height: 1 };
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.fitted = true;
    this.layers = new Map();
    this.painters = new Set();
    this.onclick = null;
    this.#listen();
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(this.stage);
  }

  /** Show a picture; resolves when it is there, so that old layers never lie on a new picture. */
  async show(src, alt) {
    const image = h("img", { src, alt, draggable: "false" });
    await image.decode().catch(() => {
      throw new Error(
        "The picture cannot be shown: it is gone, or of a kind that this browser does not know.",
      );
    });
    this.size = { width: image.naturalWidth, height: image.naturalHeight };
    this.sheet.style.width = `${this.size.width}px`;
    this.sheet.style.height = `${this.size.height}px`;
    this.layers.clear();
    replace(this.sheet, image);
    this.fit();
  }

  /** Lay a transparent picture, or an element, over it; `null` takes the layer away. */
  layer(name, content, opacity = 1) {
    this.layers.get(name)?.remove();
    this.layers.delete(name);
    if (!content) return;
    const element =
      typeof content === "string"
        ? h("img", { src: content, alt: "", draggable: "false", onerror: () => element.remove() })
        : content;
    element.style.opacity = opacity;
    this.layers.set(name, element);
    this.sheet.append(element);
  }

  opacity(name, value) {
    const element = this.layers.get(name);
    if (element) element.style.opacity = value;
  }

  /** Draw on the screen at every move: `paint(toScreen)` gives SVG elements. */
  paint(paint) {
    this.painters.add(paint);
    this.place();
    return () => {
      this.painters.delete(paint);
      this.place();
    };
  }

  toScreen = (x, y) => [x * this.scale + this.left, y * this.scale + this.top];

  toPicture(event) {
    const edge = this.stage.getBoundingClientRect();
    return [
      (event.clientX - edge.left - this.left) / this.scale,
      (event.clientY - edge.top - this.top) / this.scale,
    ];
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width) return;
    this.scale = Math.min(width / this.size.width, height / this.size.height);
    this.left = (width - this.size.width * this.scale) / 2;
    this.top = (height - this.size.height * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  /** One pixel of the picture is one pixel of the screen. */
  own() {
    this.zoom(1 / devicePixelRatio / this.scale);
  }

  /** Zoom about a place of the stage, its middle by default. */
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const fit = Math.min(
      this.stage.clientWidth / this.size.width,
      this.stage.clientHeight / this.size.height,
    );
    const least = Math.min(fit / 2, 1 / devicePixelRatio);
    const next = Math.min(Math.max(this.scale * factor, least), Math.max(MOST, fit));
    this.left = x - ((x - this.left) * next) / this.scale;
    this.top = y - ((y - this.top) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.place();
  }

  /** Bring a box [x0, y0, x1, y1] into view, with room around it. */
  look([x0, y0, x1, y1]) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const side = Math.max(24, x1 - x0, y1 - y0) * 2.2;
    this.scale = Math.min(Math.min(width, height) / side, MOST);
    this.left = width / 2 - ((x0 + x1) / 2) * this.scale;
    this.top = height / 2 - ((y0 + y1) / 2) * this.scale;
    this.fitted = false;
    this.place();
  }

  place() {
    const { width, height } = this.size,
      { clientWidth, clientHeight } = this.stage;
    const inside = (at, length, room) =>
      Math.min(room * 0.8, Math.max(room * 0.2 - length * this.scale, at));
    this.left = inside(this.left, width, clientWidth);
    this.top = inside(this.top, height, clientHeight);
    this.sheet.style.transform = `translate(${this.left}px, ${this.top}px) scale(${this.scale})`;
    this.sheet.classList.toggle("sharp", this.scale > 8);
    this.zoomText.textContent = `${Math.round(this.scale * devicePixelRatio * 100)} %`;
    replace(
      this.marks,
      [...this.painters].map((paint) => paint(this.toScreen)),
    );
  }

  #listen() {
    const { stage } = this,
      held = new Map();
    let moved = 0;
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const edge = stage.getBoundingClientRect();
        this.zoom(
          Math.exp(-event.deltaY * 0.0016),
          event.clientX - edge.left,
          event.clientY - edge.top,
        );
      },
      { passive: false },
    );
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
      if (held.size === 1) moved = 0;
    });
    stage.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      if (moved > CLICK) this.#drag(held, before, event);
      held.set(event.pointerId, event);
    });
    const drop = (event) => {
      const was = held.delete(event.pointerId);
      if (was && event.type === "pointerup" && moved <= CLICK && !held.size)
        this.onclick?.(this.toPicture(event), event);
    };
    stage.addEventListener("pointerup", drop);
    stage.addEventListener("pointercancel", drop);
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  #drag(held, before, event) {
    const others = [...held.values()].filter((other) => other.pointerId !== event.pointerId);
    if (others.length) {
      const [other] = others,
        edge = this.stage.getBoundingClientRect();
      const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
      this.zoom(far(event) / far(before), other.clientX - edge.left, other.clientY - edge.top);
      return;
    }
    this.left += event.clientX - before.clientX;
    this.top += event.clientY - before.clientY;
    this.fitted = false;
    this.place();
  }

  #key(event) {
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const others = {
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
      1: () => this.own(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (moves[event.key]) {
      this.left += moves[event.key][0] * 48;
      this.top += moves[event.key][1] * 48;
      this.fitted = false;
      this.place();
    } else if (others[event.key]) others[event.key]();
    else return;
    event.preventDefault();
  }
}
