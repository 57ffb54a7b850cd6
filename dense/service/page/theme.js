// Dark and light: as the system has it, until one is chosen here.
const KEY = "dense-theme";

export function applyTheme() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

export const isDark = () =>
  (localStorage.getItem(KEY) ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

export function switchTheme() {
  localStorage.setItem(KEY, isDark() ? "light" : "dark");
  applyTheme();
}
