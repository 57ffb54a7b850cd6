// What is shown while one waits, when there is nothing, and when something went wrong.
import { h, replace } from "../dom.js";
import { icon } from "../icons.js";

export const loading = () =>
  h("div.skeleton", { role: "status", "aria-label": "Loading" }, h("i"), h("i"), h("i"));

export const empty = (picture, title, text, ...actions) =>
  h(
    "div.card.state",
    {},
    icon(picture),
    h("h2", {}, title),
    h("p", {}, text),
    h("div.row", {}, actions),
  );

export function failed(error, retry) {
  return h(
    "div.card.state",
    { role: "alert" },
    icon("warning"),
    h("h2", {}, "This did not work"),
    h("p", {}, error.message),
    error.requestId ? h("p.small", {}, "Request ", h("code", {}, error.requestId)) : null,
    retry ? h("button", { type: "button", onclick: retry }, "Try again") : null,
  );
}

/** A place for the outcome of an action; screen readers hear what is put there. */
export function outcome() {
  const place = h("div", { "aria-live": "polite" });
  return {
    element: place,
    clear: () => replace(place),
    wrong: (error) => replace(place, h("p.wrong", {}, error.message)),
    note: (...text) => replace(place, h("p.note", {}, text)),
  };
}

/** Do the work of a button once: it waits and spins, and what goes wrong is told at `told`. */
export async function busy(button, told, work) {
  if (button.disabled) return undefined;
  const wheel = h("span.busy", { "aria-hidden": "true" });
  button.disabled = true;
  button.prepend(wheel);
  told?.clear();
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (told) told.wrong(error);
    else toast(error.message);
    return undefined;
  } finally {
    wheel.remove();
    button.disabled = false;
  }
}

let shelf = null;
/** A short message at the edge of the page, with at most one action, e.g. undo. */
export function toast(text, action) {
  shelf ??= document.body.appendChild(h("div.toasts", { role: "status", "aria-live": "polite" }));
  const card = h("div.toast", {}, h("span.wide", {}, text));
  const close = () => card.remove();
  if (action) {
    card.append(
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            close();
            action.run();
          },
        },
        action.text,
      ),
    );
  }
  shelf.append(card);
  setTimeout(close, action ? 9000 : 5000);
}
