// Keys that work on every page. Those without Ctrl can be switched off: speech input may type them.

const isMac = /Mac|iP/.test(navigator.platform);
const palette = document.querySelector("#palette");
const sheet = document.querySelector("#shortcuts");
const single = sheet.querySelector("[type=checkbox]");
const toggle = (dialog) => {
  if (dialog.open) return dialog.close();
  for (const open of document.querySelectorAll("dialog[open]")) open.close();
  for (const popover of document.querySelectorAll(":popover-open")) popover.hidePopover();
  dialog.showModal();
};
addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey) return;
  const key = event.key.toLowerCase();
  const isModal = document.querySelector("dialog[open]");
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (isMac ? event.metaKey : event.ctrlKey) {
    if (key === "k" && !event.shiftKey) toggle(palette);
    else if (key === "/") toggle(sheet);
    else if (key === "o" && event.shiftKey) location.assign("/");
    else if (key === "s" && event.shiftKey) dispatchEvent(new Event("list:toggle"));
    else return;
  } else if (single.checked && !isTyping && !isModal && !event.ctrlKey && !event.metaKey) {
    if (key === "?") toggle(sheet);
    else if (key === "/") (document.querySelector("#text") ?? document.querySelector("#find [name=q]")).focus();
    else return;
  } else return;
  event.preventDefault();
});
single.checked = localStorage.getItem("single-keys") !== "off";
single.addEventListener("change", () => localStorage.setItem("single-keys", single.checked ? "on" : "off"));
if (isMac) {
  const signs = { mod: "⌘", shift: "⇧", alt: "⌥" };
  for (const key of sheet.querySelectorAll("[data-key]")) key.textContent = signs[key.dataset.key] ?? key.textContent;
}
