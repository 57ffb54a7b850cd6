// One small plot helper: axes, dots, curves and a line that can be dragged, as SVG.
// A plot is drawn anew when its width changes, so that its letters keep their size.
import { h, replace, s } from "./dom.js";

const PAD = { left: 52, right: 16, top: 12, bottom: 40 };

/**
 * @param options.x, options.y [low, high].
 * @param options.label What it shows, for screen readers.
 * @param options.height In pixels, or a function of the width.
 * @param draw `draw(frame)` gives SVG elements; frame has x(value), y(value), back(pixels), box and
 *   the two axes; `again()` of the answer draws anew.
 */
export function plot(
  { label, height = 240, x, y, xLabel = "", yTicks = null, xText = plain, yText = plain },
  draw,
) {
  const svg = s("svg", { role: "group", "aria-label": label });
  const element = h("div.plot", {}, svg);
  let width = 0;
  function again() {
    if (!width) return;
    const box = {
      left: PAD.left,
      top: PAD.top,
      right: width - PAD.right,
      bottom: height - PAD.bottom,
    };
    const frame = {
      box,
      width,
      height,
      x: scale(x, box.left, box.right),
      y: scale(y, box.bottom, box.top),
      back: scale([box.left, box.right], ...x),
    };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    replace(svg, axes(frame, { x, y, xLabel, yTicks, xText, yText }), draw(frame));
  }
  new ResizeObserver(() => {
    if (element.clientWidth !== width) {
      width = element.clientWidth;
      again();
    }
  }).observe(element);
  return { element, again, svg };
}

const plain = (value) => String(value);

/** A linear map of [low, high] to [from, to]. */
export function scale([low, high], from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** Round numbers that part [low, high], about `wanted` of them. */
export function ticks([low, high], wanted) {
  const rough = (high - low || 1) / Math.max(1, wanted),
    power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k += 1)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

function axes({ box, x, y }, options) {
  const across = ticks(options.x, Math.max(3, (box.right - box.left) / 90));
  const up = options.yTicks ?? ticks(options.y, (box.bottom - box.top) / 44);
  return [
    up.map((value) => s("path.rule", { d: `M${box.left} ${y(value)}H${box.right}` })),
    up.map((value) =>
      s("text", { x: box.left - 8, y: y(value) + 4, "text-anchor": "end" }, options.yText(value)),
    ),
    s("path.axis", { d: `M${box.left} ${box.bottom}H${box.right}` }),
    across.map((value) => s("path.axis", { d: `M${x(value)} ${box.bottom}v4` })),
    across.map((value) =>
      s("text", { x: x(value), y: box.bottom + 18, "text-anchor": "middle" }, options.xText(value)),
    ),
    s(
      "text",
      { x: (box.left + box.right) / 2, y: box.bottom + 35, "text-anchor": "middle" },
      options.xLabel,
    ),
  ];
}

/** Dots in a band of rows, those that would cover each other set apart. */
export function swarm(values, x, middle, room, tone, name) {
  const radius = values.length > 150 ? 3 : 4.5,
    rows = [];
  const dots = [...values]
    .sort((a, b) => a - b)
    .map((value) => {
      const cx = x(value);
      let row = rows.findIndex((last) => cx - last > radius * 1.9);
      if (row < 0) row = rows.length;
      rows[row] = cx;
      row %= Math.max(1, Math.floor(room / (radius * 1.9)));
      const up = (row % 2 ? 1 : -1) * Math.ceil(row / 2) * radius * 1.9;
      return s("circle.dot", { cx, cy: middle + up, r: radius });
    });
  return s(`g.${tone}`, { role: "img", "aria-label": `${name}: ${values.length}` }, dots);
}

/** A curve through [x, y] points; `steps` keeps each y until the next x. */
export function curve(points, x, y, tone, { steps = false } = {}) {
  const path = points
    .map(([a, b], k) =>
      k === 0 ? `M${x(a)} ${y(b)}` : steps ? `H${x(a)}V${y(b)}` : `L${x(a)} ${y(b)}`,
    )
    .join("");
  return s(`path.curve.${tone}`, { d: path });
}

/**
 * An upright line that is dragged, or moved by arrow keys: a slider to screen readers.
 * `move(value, final)` hears of it; the caller draws anew.
 */
export function handle(frame, value, { low, high, text, say, label, move }) {
  const { box } = frame,
    at = frame.x(value),
    wide = text.length * 7.4 + 16;
  const near = Math.min(box.right - wide, Math.max(box.left, at - wide / 2));
  const keep = (next) => Math.min(high, Math.max(low, next));
  const group = s(
    "g.handle",
    {
      tabindex: "0",
      role: "slider",
      "aria-label": label,
      "aria-valuemin": low,
      "aria-valuemax": high,
      "aria-valuenow": value,
      "aria-valuetext": say,
      onkeydown: key,
      onpointerdown: hold,
    },
    s("rect", {
      x: at - 14,
      y: box.top - 8,
      width: 28,
      height: box.bottom - box.top + 12,
      fill: "transparent",
    }),
    s("line", { x1: at, x2: at, y1: box.top + 6, y2: box.bottom }),
    s("rect.grip", { x: near, y: box.top - 10, width: wide, height: 22, rx: 7 }),
    s("text", { x: near + wide / 2, y: box.top + 5, "text-anchor": "middle" }, text),
  );

  function key(event) {
    const step = ((high - low) / 200) * (event.shiftKey ? 10 : 1);
    const to = {
      ArrowLeft: value - step,
      ArrowDown: value - step,
      ArrowRight: value + step,
      ArrowUp: value + step,
      Home: low,
      End: high,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(keep(to));
  }
  function hold(event) {
    event.preventDefault();
    const edge = group.ownerSVGElement.getBoundingClientRect();
    const follow = (next) =>
      move(keep(frame.back(((next.clientX - edge.left) * frame.width) / edge.width)));
    const drop = () => {
      window.removeEventListener("pointermove", follow);
      window.removeEventListener("pointerup", drop);
    };
    window.addEventListener("pointermove", follow);
    window.addEventListener("pointerup", drop);
  }
  return group;
}
