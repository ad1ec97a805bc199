// The links of the conversation open beside it: the form of their own page, in a dialog. Links are copied whole.

const link = document.querySelector("#to-sharing");
const dialog = document.querySelector("#sharing-dialog");
const complete = (root) => {
  for (const field of root.querySelectorAll("[data-path]")) {
    if (field.value.startsWith("/")) field.value = location.origin + field.dataset.path;
  }
};
complete(document);
addEventListener("htmx:after:settle", () => complete(document));
link?.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = dialog.querySelector("div");
  await htmx.ajax("GET", link.href, { target: place, select: "#sharing", swap: "innerHTML" });
  if (place.firstElementChild) dialog.showModal();
  else location.assign(link.href);
});
dialog?.addEventListener("click", ({ target }) => {
  if (target.closest("[data-close]")) dialog.close();
});
addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy-link]");
  if (!button) return;
  const field = button.parentElement.querySelector("[data-path]");
  const status = document.querySelector("#sharing [role=status]");
  try {
    await navigator.clipboard.writeText(field.value);
    status.textContent = "The link is copied.";
    button.firstChild.data = "Copied";
    setTimeout(() => { button.firstChild.data = "Copy"; }, 1500);
  } catch {
    field.select(); // without https there is no clipboard: the keys still work
  }
});
