// The shell: signing in, the rail, and which view the address asks for (#/products/NAME/tab?query).
import { append, h, replace } from "./dom.js";
import { ROLES } from "./format.js";
import { icon, mark } from "./icons.js";
import { failed, loading } from "./parts/states.js";
import { can, forget, resume, session, signOut } from "./session.js";
import { shortcut, showShortcuts } from "./shortcuts.js";
import { applyTheme, isDark, switchTheme } from "./theme.js";
import { signInView } from "./views/sign_in.js";

const ROUTES = [
  [/^$/, "products"],
  [/^new$/, "new_product"],
  [/^products\/([^/]+)$/, "product"],
  [/^products\/([^/]+)\/calibration$/, "calibration"],
  [/^products\/([^/]+)\/drift$/, "drift"],
  [/^live$/, "live"],
  [/^history$/, "history"],
  [/^decisions\/([^/]+)$/, "decision"],
  [/^playground$/, "playground"],
  [/^log$/, "log"],
];
const PLACES = [
  ["products", "", "Products", "p"],
  ["live", "live", "Live", "l"],
  ["history", "history", "History", "h"],
  ["words", "playground", "Playground", "w"],
  ["log", "log", "Log", "v"],
];

/** What the role has no use for is not offered. */
const NEEDED = { log: "audit", playground: "work" };
const places = () => PLACES.filter(([, path]) => !NEEDED[path] || can(NEEDED[path]));

let leave = null;
let main = null;
let loaded = false;

applyTheme();
window.addEventListener("hashchange", show);
window.addEventListener("signed-out", () => {
  forget();
  start();
});
start();

async function start() {
  leave?.abort();
  try {
    if (!session()) await resume();
  } catch (error) {
    replace(document.body, failed(error, start));
    return;
  }
  if (session()) openShell();
  else {
    document.title = "Sign in · dense";
    replace(document.body, signInView(openShell));
  }
}

function openShell() {
  main = h("main", { id: "main" });
  const rail = h(
    "div.rail",
    { role: "banner" },
    h("a.brand", { href: "#/", "aria-label": "dense, products" }, mark(), "dense"),
    h(
      "nav",
      { "aria-label": "Main" },
      places().map(([name, path, text]) =>
        h("a", { href: `#/${path}`, "data-place": path }, icon(name), text),
      ),
    ),
    foot(),
  );
  replace(
    document.body,
    h(
      "a.skip",
      {
        href: "#main",
        onclick: (event) => {
          event.preventDefault();
          main.querySelector("h1")?.focus();
        },
      },
      "To the content",
    ),
    h("div.shell", {}, rail, main),
  );
  for (const [, path, text, key] of places())
    shortcut(key, text, () => {
      location.hash = `#/${path}`;
    });
  shortcut("t", "Dark or light", changeTheme);
  shortcut("?", "This list", showShortcuts);
  loaded = false;
  show();
}

function foot() {
  const { name, role } = session();
  const tool = (picture, text, run, key) =>
    h(
      "button.plain.round",
      { type: "button", "aria-label": text, title: key ? `${text} (${key})` : text, onclick: run },
      icon(picture),
    );
  return h(
    "div.foot",
    {},
    h("div.who", { title: ROLES[role] }, h("strong.cut", {}, name), h("span.soft.small", {}, role)),
    h(
      "div.tools",
      {},
      tool(isDark() ? "sun" : "moon", "Dark or light", changeTheme, "t"),
      tool("help", "Keyboard shortcuts", showShortcuts, "?"),
      tool("out", "Sign out", async () => {
        await signOut();
        start();
      }),
    ),
  );
}

function changeTheme() {
  switchTheme();
  const button = document.querySelector(".tools button");
  replace(button, icon(isDark() ? "sun" : "moon"));
}

async function show() {
  if (!session()) return;
  leave?.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const found = ROUTES.map(([pattern, name]) => [path.match(pattern), name]).find(
    ([match]) => match,
  );
  markPlace(path);
  const view = h("div.view");
  replace(main, append(view, loading()));
  try {
    if (!found) throw new Error("There is no such page here.");
    const [match, name] = found;
    const module = await import(`./views/${name}.js`);
    const place = {
      params: match.slice(1).map(decodeURIComponent),
      query: new URLSearchParams(search),
      signal,
      again: show,
    };
    const content = await module.default(place);
    if (signal.aborted) return;
    replace(view, content);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    replace(view, h("h1.only-read", {}, "Error"), failed(error, show));
  }
  const title = view.querySelector("h1");
  document.title = `${title?.textContent ?? ""} · dense`;
  if (title) {
    title.tabIndex = -1;
    if (loaded) (view.querySelector("[data-focus]") ?? title).focus({ preventScroll: true });
  }
  if (loaded) scrollTo(0, 0);
  loaded = true;
}

function markPlace(path) {
  const head = path.split("/")[0];
  const owner = { new: "", products: "", decisions: "history" }[head] ?? head;
  for (const anchor of document.querySelectorAll(".rail nav a")) {
    if (anchor.dataset.place === owner) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}
