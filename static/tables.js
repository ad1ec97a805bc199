// Tables: while one grows long, its columns have widths of their own, so that rows out of sight need not be laid out again.
// They are those of its first rows, and grow with what does not fit while there is room; a word that does not fit makes room.

const measured = new WeakSet();
const widest = (widths, rows, widthOf) => widths.map((width, at) => Math.max(width, ...rows.map((row) => widthOf(row.cells[at]))));
const grown = (table, widths) => {
  const rows = [...[...table.tBodies].at(-1).rows].filter((row) => !measured.has(row));
  for (const row of rows) row.classList.add("unbroken");
  const whole = widest(widths, rows, (cell) => cell.getBoundingClientRect().width);
  for (const row of rows) {
    row.removeAttribute("class");
    measured.add(row);
  }
  if (whole.reduce((sum, width) => sum + width, 0) <= table.parentElement.clientWidth) return whole;
  return widest(widths, rows, (cell) => cell.scrollWidth);
};
addEventListener("htmx:before:settle", ({ target }) => {
  const table = target.closest?.(".done > table");
  if (!table || table.tBodies.length < 2) return;
  const widths = [...table.tHead.rows[0].cells].map((cell) => cell.getBoundingClientRect().width);
  const next = table.matches(".long") ? grown(table, widths) : widths;
  if (table.matches(".long") && next.join() === widths.join()) return;
  table.style.setProperty("--columns", next.map((width) => `${width}px`).join(" "));
  table.classList.add("long");
});
addEventListener("done", () => {
  for (const table of document.querySelectorAll("table.long")) table.classList.remove("long");
});
