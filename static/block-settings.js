// The settings of the conversation open beside it: the form of their own page, in a dialog.

const link = document.querySelector("#to-settings");
const dialog = document.querySelector("#settings-panel");
link?.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = dialog.querySelector(".sheet");
  await htmx.ajax("GET", link.href, { target: place, select: "#block-settings", swap: "innerHTML" });
  if (place.firstElementChild) dialog.showModal();
  else location.assign(link.href);
});
dialog?.addEventListener("click", (event) => {
  if (!event.target.closest("[data-close]")) return;
  event.preventDefault();
  dialog.close();
});
// What is wrong comes into sight, and is read first.
addEventListener("htmx:after:settle", ({ target }) => target.querySelector?.("#block-settings [aria-invalid]")?.focus());
