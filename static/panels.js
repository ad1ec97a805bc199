// Panels: a page of the conversation opens beside it. Its link names the dialog, and the dialog the piece of the page.

addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-panel]");
  const dialog = document.getElementById(link?.dataset.panel);
  if (!dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = dialog.querySelector("[data-piece-of-page]");
  await htmx.ajax("GET", link.href, { target: place, select: place.dataset.pieceOfPage, swap: "innerHTML" });
  if (place.firstElementChild) dialog.showModal();
  else location.assign(link.href);
});
addEventListener("click", ({ target }) => target.closest("dialog a[download]")?.closest("dialog").close());
// What is opened at the end of a panel comes into sight.
addEventListener("toggle", ({ target, newState }) => {
  if (newState === "open" && target.matches("dialog details")) target.scrollIntoView({ block: "nearest" });
}, true);
// What is wrong comes into sight, and is read first.
addEventListener("htmx:after:settle", ({ target }) => {
  const wrong = document.querySelector("#block-settings [aria-invalid]");
  if (wrong && target.contains(wrong)) wrong.focus();
});
