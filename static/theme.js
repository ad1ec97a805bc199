// The reader's choice of colours, before anything is painted: light, dark, or (without an entry) as the system has it.
(() => {
  const root = document.documentElement;
  root.dataset.script = "on";
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // no storage: as the system has it
  }
})();
