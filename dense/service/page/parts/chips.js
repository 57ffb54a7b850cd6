// A field for several words: Enter or a comma ends one, Backspace in the empty field takes the last out.
import { h, newId, replace } from "../dom.js";
import { icon } from "../icons.js";

export function chips(label, hint, given = [], placeholder = "") {
  let words = [...given];
  const input = h("input", {
    type: "text",
    id: newId("words"),
    placeholder,
    autocomplete: "off",
    maxlength: 200,
  });
  const list = h("span.row.tight", { role: "list", "aria-label": `${label}: chosen` });
  const note = h("p.hint", { id: `${input.id}-hint` }, hint);
  input.setAttribute("aria-describedby", note.id);

  function show() {
    replace(
      list,
      words.map((word) =>
        h(
          "span.chip",
          { role: "listitem" },
          word,
          h(
            "button",
            {
              type: "button",
              "aria-label": `Remove ${word}`,
              onclick: () => {
                words = words.filter((w) => w !== word);
                show();
                input.focus();
              },
            },
            icon("close"),
          ),
        ),
      ),
    );
  }
  function take() {
    for (const word of input.value.split(/[,\n]/).map((text) => text.trim())) {
      if (word && !words.includes(word)) words.push(word);
    }
    input.value = "";
    show();
  }
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) {
      event.preventDefault();
      take();
    } else if (event.key === "Backspace" && !input.value && words.length) {
      words.pop();
      show();
    }
  });
  // Not when the field is left: the page would move under the click that leaves it.
  input.addEventListener("input", () => {
    if (/[,\n]/.test(input.value)) take();
  });
  show();
  const element = h(
    "div.field",
    {},
    h("label", { for: input.id }, label),
    h("div.chips", {}, list, input),
    note,
  );
  return {
    element,
    words: () => {
      take();
      return [...words];
    },
    input,
  };
}
