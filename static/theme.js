// The reader's choices, before anything is painted: the colours light, dark, or (without an entry) as the system has them,
// and whether the list at the side is put away.
(() => {
  const root = document.documentElement;
  root.dataset.script = "on";
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (localStorage.getItem("list") === "off") root.dataset.list = "off";
  } catch {
    // no storage: as the system has them
  }
})();
