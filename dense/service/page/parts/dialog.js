// Modal questions and panels, on the browser's own <dialog>: it keeps the focus inside and gives it back.
import { h, newId } from "../dom.js";

/** Show a panel; it goes on Escape, by its button, or when `close` is called. */
export function panel(title, ...content) {
  const name = newId("dialog");
  const close = () => box.close();
  const box = h(
    "dialog",
    { "aria-labelledby": name, onclose: () => box.remove() },
    h("div.stack", {}, h("h2", { id: name }, title), content),
  );
  document.body.append(box);
  box.showModal();
  return { box, close };
}

/** Ask before something that cannot be taken back; resolves to true or false. */
export function confirm(title, text, yes, { danger = false } = {}) {
  return new Promise((answer) => {
    let said = false;
    const { box, close } = panel(
      title,
      h("p", {}, text),
      h(
        "div.row",
        {},
        h("button", { type: "button", onclick: () => close() }, "Cancel"),
        h(
          `button.${danger ? "danger" : "primary"}`,
          {
            type: "button",
            onclick: () => {
              said = true;
              close();
            },
          },
          yes,
        ),
      ),
    );
    box.addEventListener("close", () => answer(said));
  });
}
