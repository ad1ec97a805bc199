// Colours.

const chosen = document.documentElement.dataset.theme ?? "auto";
for (const input of document.querySelectorAll("input[name=theme]")) {
  input.checked = input.value === chosen;
  input.addEventListener("change", () => {
    if (input.value === "auto") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("theme");
    } else {
      document.documentElement.dataset.theme = input.value;
      localStorage.setItem("theme", input.value);
    }
  });
}
