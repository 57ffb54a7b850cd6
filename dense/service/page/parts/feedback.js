// Right, false alarm, missed: what a person says of a decision, what it is used for, and undo.
import { api } from "../api.js";
import { field, h, replace, select } from "../dom.js";
import { FEEDBACK, when } from "../format.js";
import { icon } from "../icons.js";
import { can } from "../session.js";
import { shortcut } from "../shortcuts.js";
import { feedbackBadge } from "./badge.js";
import { busy, outcome, toast } from "./states.js";

const CHOICES = {
  pass: ["right", "missed"],
  reject: ["right", "false-alarm"],
  refused: ["right", "false-alarm"],
};
const USES = [
  ["", "keep it as a note"],
  ["calibration", "keep it for the next recalibration"],
];
const MEMORY = ["memory", "good part: remember it at once"];
const USED = {
  calibration: "The picture is kept for the next recalibration.",
  memory: "Its picture is among the good ones now.",
};

/** A card that shows and gives feedback on a decision. */
export function feedbackCard(decision, signal) {
  const body = h("div.stack");
  const told = outcome();
  let now = decision;

  async function change(work, text, action) {
    now = await work();
    show();
    toast(text, action);
  }
  const undo = (button) =>
    busy(button, told, () => change(() => api.undoFeedback(now.id), "The feedback is taken back."));
  const give = (button, said) =>
    busy(button, told, () =>
      change(() => api.giveFeedback(now.id, said), `${FEEDBACK[said.kind]}: noted.`, {
        text: "Undo",
        run: () => undo(button),
      }),
    );
  function show() {
    if (now.feedback) replace(body, given(now.feedback, undo));
    else if (can("work")) replace(body, question(now, give));
    else replace(body, h("p.soft", {}, "Nobody has said yet whether this is right."));
  }
  show();
  addShortcuts(body, signal);
  return h("section.card.stack", {}, h("h2", {}, "Is this right?"), body, told.element);
}

/** 1 and 2 are the answers, u takes one back. */
function addShortcuts(body, signal) {
  const press = (place) => () => body.querySelectorAll("button.wide")[place]?.click();
  shortcut("1", "Feedback: right", press(0), signal);
  shortcut("2", "Feedback: wrong (false alarm, missed)", press(1), signal);
  shortcut("u", "Undo the feedback", () => body.querySelector("button.undo")?.click(), signal);
}

/** What was said, by whom, and what it is used for. */
function given(feedback, undo) {
  const back = h(
    "button.undo",
    { type: "button", onclick: () => undo(back) },
    icon("undo"),
    "Undo",
  );
  const who = h("span.soft.small", {}, `${feedback.actor}, ${when(feedback.made_at)}`);
  return h(
    "div.stack.tight",
    {},
    h("div.row", {}, feedbackBadge(feedback), who),
    feedback.note ? h("p", {}, feedback.note) : null,
    USED[feedback.use] ? h("p.small.soft", {}, USED[feedback.use]) : null,
    can("work") ? h("div.row", {}, back) : null,
  );
}

/** The answers; what the picture is good for depends on whether the part is good. */
function question(decision, give) {
  const note = h("input", { type: "text", maxlength: 500, placeholder: "e.g. a drop of oil" });
  const judged = decision.verdict !== "refused";
  const use = select(can("change") ? [...USES, MEMORY] : USES, judged ? "calibration" : "");
  const buttons = CHOICES[decision.verdict].map((kind, place) => {
    const button = h("button.wide", { type: "button", onclick: () => give(button, said(kind)) });
    button.append(FEEDBACK[kind], h("kbd", { "aria-hidden": "true" }, place + 1));
    return button;
  });
  function said(kind) {
    const good = kind === "false-alarm" || (kind === "right" && decision.verdict === "pass");
    const wanted = use.value === "memory" && !good ? "" : use.value;
    return { kind, note: note.value.trim(), use: wanted || null };
  }
  return h(
    "div.stack.tight",
    {},
    h("div.row", {}, buttons),
    field("Note (optional)", note),
    judged ? field("What for", use) : null,
  );
}
