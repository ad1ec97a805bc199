// Colours: as the system has them, light or dark. `theme:toggle` goes to the other of the two.

const root = document.documentElement;
const inputs = [...document.querySelectorAll("input[name=theme]")];
const choose = (theme) => {
  for (const input of inputs) input.checked = input.value === theme;
  if (theme === "auto") {
    delete root.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    root.dataset.theme = theme;
    localStorage.setItem("theme", theme);
  }
};
for (const input of inputs) {
  input.checked = input.value === (root.dataset.theme ?? "auto");
  input.addEventListener("change", () => choose(input.value));
}
addEventListener("theme:toggle", () => {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  choose(isDark ? "light" : "dark");
});
