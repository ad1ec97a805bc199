// The links of a conversation are shown and copied whole, with this server's address.

const complete = () => {
  for (const field of document.querySelectorAll("#sharing [data-path]")) { // by its id: the messages are not searched
    if (field.value.startsWith("/")) field.value = location.origin + field.dataset.path;
  }
};
complete();
addEventListener("htmx:after:settle", complete);
addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy-link]");
  const text = button?.parentElement.querySelector("input").value;
  if (button) button.dispatchEvent(new CustomEvent("text:copy", { bubbles: true, detail: { text } }));
});
addEventListener("text:copied", ({ target }) => {
  if (!target.matches("[data-copy-link]")) return;
  target.closest("section, #sharing").querySelector("[role=status]").textContent = "It is copied.";
  target.firstChild.data = "Copied";
  setTimeout(() => { target.firstChild.data = "Copy"; }, 1500);
});
