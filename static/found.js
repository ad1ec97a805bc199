// A search has found something in another version of the conversation: that version is shown at once.

const button = document.querySelector("#found");
if (button) {
  addEventListener("DOMContentLoaded", () => { // htmx has it by then
    button.click();
    button.parentElement.remove();
    history.replaceState(null, "", location.pathname);
  });
}
