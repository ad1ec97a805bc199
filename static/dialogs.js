// Dialogs of the page: deleting for good asks first, `data-opens` opens the dialog it names, `data-close` closes its own.

const dialog = document.querySelector("#confirm");
addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  event.preventDefault();
  dialog.querySelector("b").textContent = ctx.confirm;
  dialog.returnValue = "";
  dialog.onclose = () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest());
  dialog.showModal();
});
addEventListener("click", (event) => {
  const { target } = event;
  if (target.closest("dialog [data-close]")) {
    event.preventDefault();
    target.closest("dialog").close();
    return;
  }
  const opened = document.getElementById(target.closest("[data-opens]")?.dataset.opens);
  if (!opened || opened.open) return;
  for (const popover of document.querySelectorAll(":popover-open")) popover.hidePopover();
  opened.showModal();
});
