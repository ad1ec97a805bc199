// A search has found something in another version of the conversation: that version is shown at once.

const button = document.querySelector("#found");
if (button) {
  addEventListener("htmx:after:process", () => button.click(), { once: true }); // htmx has it by then
  document.querySelector("#branch").addEventListener("done", () => {
    button.parentElement.remove();
    history.replaceState(null, "", location.pathname + location.hash);
    dispatchEvent(new Event("hashchange")); // what the address names is there now
  }, { once: true });
}
