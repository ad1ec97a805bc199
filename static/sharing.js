// The links of a conversation are shown and copied whole, with this server's address.

const complete = () => {
  for (const field of document.querySelectorAll("#sharing [data-path]")) { // by its id: the messages are not searched
    if (field.value.startsWith("/")) field.value = location.origin + field.dataset.path;
  }
};
complete();
addEventListener("htmx:after:settle", complete);
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
