// Words on a picture: segment it, or find boxes, by whatever one types. Nothing is kept or logged.
import { api, makeForm } from "../api.js";
import { append, field, h, newId, replace, s, select } from "../dom.js";
import { count, share } from "../format.js";
import { icon } from "../icons.js";
import { chips } from "../parts/chips.js";
import { dropZone } from "../parts/drop.js";
import { busy, outcome } from "../parts/states.js";
import { Viewer } from "../parts/viewer.js";

const SYNONYMS = "Synonyms stand after a semicolon: “table; desk”.";

export default async function playground() {
  const told = outcome();
  const screen = answerScreen();
  const drop = dropZone("Picture", {
    many: false,
    onchange: (files) => files.length && screen.open(drop.url(0), files[0].name).catch(told.wrong),
  });
  const words = chips("Words", SYNONYMS, [], "a word, then Enter");
  const background = chips("Background", "What is there and does not matter.", [], "wall");
  const task = select([
    ["segment", "Segment: which pixels"],
    ["detect", "Detect: which boxes"],
  ]);
  const button = h("button.primary", { type: "submit" }, "Look");
  async function look() {
    if (!drop.files().length) throw new Error("Bring a picture first.");
    if (!words.words().length) throw new Error("Type at least one word first.");
    const texts = {
      words: words.words().join("\n"),
      background: background.words().join("\n"),
    };
    const answer = await api.play(task.value, makeForm(texts, { image: drop.files() }));
    screen.show(answer);
    if (!answer.legend.length) told.note("None of the words is there.");
  }
  const submit = (event) => {
    event.preventDefault();
    busy(button, told, look);
  };
  const form = h(
    "form.card.stack",
    { onsubmit: submit },
    [drop.element, words.element, background.element, field("What for", task)],
    told.element,
    h("div.row", {}, button),
  );
  const about = h("p.soft", {}, "Pictures stay on this server and are not kept.");
  return [
    h("div.head", {}, h("div.words", {}, h("h1", {}, "Playground"), about)),
    h("div.two", {}, h("div.card", {}, screen.element), form),
  ];
}

/** The picture with what was found on it: an overlay of colours, or boxes. */
function answerScreen() {
  const viewer = new Viewer("Your picture");
  const legend = h("ul.legend.large", { "aria-live": "polite" });
  const slider = answerSlider(viewer);
  const stage = h("div.stack", { hidden: true }, viewer.element, legend);
  const text = h("p", {}, "Bring a picture, type words, and see where they are.");
  const waiting = h("div.state", {}, icon("words"), h("h2", {}, "Words on a picture"), text);
  const hidden = new Set();
  let boxes = [];
  const shown = ({ word, score }) => !hidden.has(word) && score >= slider.value();
  viewer.paint((toScreen) => boxes.filter(shown).flatMap((found) => boxMarks(found, toScreen)));

  function clear() {
    boxes = [];
    hidden.clear();
    viewer.layer("overlay", null);
    replace(legend);
  }
  function open(url, name) {
    clear();
    stage.hidden = false;
    waiting.hidden = true;
    return viewer.show(url, name);
  }
  function show(answer) {
    clear();
    slider.use(answer.boxes ? "boxes" : "overlay");
    boxes = answer.boxes ?? [];
    viewer.layer("overlay", answer.overlay ?? null, slider.value());
    const entry = (found) => legendEntry(found, boxes, hidden, () => viewer.place());
    replace(legend, answer.legend.map(entry));
    viewer.place();
  }
  return { element: h("div", {}, waiting, stage), open, show };
}

/** One slider: how strong the colours are, or how sure a box must be to be shown. */
function answerSlider(viewer) {
  const input = h("input", { type: "range", min: 0, max: 100, value: 60, id: newId("slider") });
  const label = h("label", { for: input.id }, "Opacity");
  const value = () => input.value / 100;
  const kept = { overlay: 60, boxes: 10 };
  let kind = "overlay";
  input.addEventListener("input", () => {
    kept[kind] = input.value;
    viewer.opacity("overlay", value());
    viewer.place();
  });
  append(viewer.bar, h("span.row", {}, label, input));
  function use(next) {
    kind = next;
    input.value = kept[kind];
    label.textContent = kind === "boxes" ? "Surer than" : "Opacity";
  }
  return { value, use };
}

function boxMarks({ box, word, score, color }, toScreen) {
  const [x, y] = toScreen(box[0], box[1]),
    [right, bottom] = toScreen(box[2], box[3]);
  const rectangle = s("rect.box", { x, y, width: right - x, height: bottom - y });
  rectangle.style.stroke = color;
  return [rectangle, s("text", { x: x + 4, y: y + 15 }, `${word} ${share(score)}`)];
}

/** A word with its colour and how much of it there is; for boxes, a button that hides them. */
function legendEntry({ word, color, share: part }, boxes, hidden, changed) {
  const swatch = h("i");
  swatch.style.background = color;
  const own = boxes.filter((found) => found.word === word).length;
  const text = own ? count(own, "box", "boxes") : share(part);
  if (!own) return h("li", {}, swatch, h("span", {}, word), h("span.soft.number", {}, text));
  const button = h(
    "button.small",
    {
      type: "button",
      "aria-pressed": "true",
      onclick: () => {
        if (!hidden.delete(word)) hidden.add(word);
        button.setAttribute("aria-pressed", String(!hidden.has(word)));
        changed();
      },
    },
    swatch,
    word,
    h("span.soft.number", {}, text),
  );
  return h("li", {}, button);
}
