// Line icons on a 24 × 24 grid, drawn for this page.
import { s } from "./dom.js";

const PATHS = {
  products: "M4 5h7v6H4z M13 5h7v6h-7z M4 13h7v6H4z M13 13h7v6h-7z",
  live: "M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4z M7.5 16.5a6.4 6.4 0 0 1 0-9 M16.5 7.5a6.4 6.4 0 0 1 0 9 M4.8 19.2a10.2 10.2 0 0 1 0-14.4 M19.2 4.8a10.2 10.2 0 0 1 0 14.4",
  history: "M4 12a8 8 0 1 0 2.6-5.9L4 8.4 M4 4v4.4h4.4 M12 8v4.4l3 1.8",
  words: "M4 6h16 M4 11h9 M4 16h6 M15 13h5v5h-5z",
  log: "M9.5 14.5l5-5 M8 11l-2.2 2.2a3.5 3.5 0 0 0 5 5L13 16 M16 13l2.2-2.2a3.5 3.5 0 0 0-5-5L11 8",
  plus: "M12 5v14 M5 12h14",
  minus: "M5 12h14",
  pass: "M5 12.5l4.5 4.5L19 7.5",
  reject: "M6.5 6.5l11 11 M17.5 6.5l-11 11",
  refused: "M12 5v9 M12 18.2v.6",
  none: "M6 12h12",
  fit: "M4 9V4h5 M15 4h5v5 M20 15v5h-5 M9 20H4v-5",
  upload: "M12 16V5 M7.5 9.5L12 5l4.5 4.5 M5 19h14",
  download: "M12 5v11 M7.5 11.5L12 16l4.5-4.5 M5 19h14",
  undo: "M9 7L5 11l4 4 M5 11h9a5 5 0 0 1 0 10h-3",
  trash: "M5 7h14 M10 7V5h4v2 M7 7l1 12h8l1-12",
  moon: "M19 14.5A7.5 7.5 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M12 3v2 M12 19v2 M3 12h2 M19 12h2 M5.6 5.6L7 7 M17 17l1.4 1.4 M5.6 18.4L7 17 M17 7l1.4-1.4",
  help: "M9 9.2a3 3 0 1 1 4.4 2.6c-1 .6-1.4 1.2-1.4 2.2 M12 17.6v.4",
  out: "M14 5h5v14h-5 M4 12h10 M10.5 8.5L14 12l-3.5 3.5",
  picture: "M4 5h16v14H4z M4 16l4.5-4.5 4 4L15 13l5 5 M9 9.2v.1",
  pause: "M9 6v12 M15 6v12",
  play: "M8 5.5v13l10.5-6.5z",
  close: "M6.5 6.5l11 11 M17.5 6.5l-11 11",
  polygon: "M6 8l7-3 6 6-4 8-8-2z",
  next: "M9.5 5.5L16 12l-6.5 6.5",
  back: "M14.5 5.5L8 12l6.5 6.5",
  shield: "M12 4l7 2.5v5c0 4.2-2.9 7.2-7 8.5-4.1-1.3-7-4.3-7-8.5v-5z M8.8 12l2.3 2.3 4.2-4.4",
  warning: "M12 4.5L21 19.5H3z M12 10.5v4 M12 17v.2",
};

/** An icon; it says nothing to screen readers, the text beside it does. */
export function icon(name) {
  return s(
    "svg.icon",
    { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    s("path", { d: PATHS[name] }),
  );
}

/** The mark of the product: patches of a picture, one of them unlike the others. */
export function mark() {
  const places = [0, 1, 2, 3, 4, 6, 7, 8];
  return s(
    "svg.mark",
    { viewBox: "0 0 24 24", "aria-hidden": "true" },
    places.map((place) =>
      s("rect", {
        x: 1.5 + (place % 3) * 7.2,
        y: 1.5 + Math.floor(place / 3) * 7.2,
        width: 5.6,
        height: 5.6,
        rx: 1.4,
      }),
    ),
    s("rect.odd", { x: 14.9, y: 7.7, width: 7.6, height: 7.6, rx: 2 }),
  );
}
