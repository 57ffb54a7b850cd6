// Signing in by key.
import { field, h } from "../dom.js";
import { mark } from "../icons.js";
import { busy, outcome } from "../parts/states.js";
import { signIn } from "../session.js";

export function signInView(done) {
  const key = h("input", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
  });
  const button = h("button.primary", { type: "submit" }, "Sign in");
  const told = outcome();
  const form = h(
    "form.card",
    {
      onsubmit: (event) => {
        event.preventDefault();
        busy(button, told, async () => {
          await signIn(key.value.trim());
          done();
        });
      },
    },
    h("div.brand", {}, mark(), h("h1", {}, "dense")),
    h("p.soft", {}, "Inspection from a few good parts, with a promise that holds."),
    field(
      "Key",
      key,
      "Keys are made by dense serve-key; the first one was printed when the server first started.",
    ),
    told.element,
    button,
  );
  setTimeout(() => key.focus());
  return h("main.sign-in", {}, form);
}
