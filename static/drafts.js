// Drafts: what is written and attached is kept with its conversation until it is sent. Not in a temporary chat.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const { block } = document.querySelector("#preset").dataset;
const MONTH = 30 * 24 * 3600e3;

const isTemporary = composer.getAttribute("action").startsWith("/temporary/");
const key = () => `draft:${location.pathname === "/" ? "new" : block}`;
const isEditing = () => document.querySelector("#message-id").name === "edit"; // the draft waits until that is over
let timer;
const save = () => {
  clearTimeout(timer);
  timer = undefined;
  if (isEditing() || isTemporary) return;
  const files = [...document.querySelectorAll("#attachments input:checked")].map(({ value, dataset }) => ({ url: value, ...dataset }));
  try {
    if (text.value || files.length) localStorage.setItem(key(), JSON.stringify({ text: text.value, files, time: Date.now() }));
    else localStorage.removeItem(key());
  } catch {
    // no storage, or no room in it
  }
};
const saveSoon = () => {
  if (text.value) timer ??= setTimeout(save, 400);
  else save(); // sent: gone at once
};
const restore = () => {
  const draft = JSON.parse(localStorage.getItem(key()));
  if (draft && !isEditing() && !text.value) composer.dispatchEvent(new CustomEvent("composer:fill", { detail: draft }));
  for (const name of Object.keys(localStorage)) {
    if (name.startsWith("draft:") && JSON.parse(localStorage.getItem(name)).time < Date.now() - MONTH) localStorage.removeItem(name);
  }
};
try {
  restore();
} catch {
  // no storage, or something else in it
}
text.addEventListener("input", saveSoon);
composer.addEventListener("composer:changed", saveSoon);
addEventListener("pagehide", () => { if (timer) save(); });
document.addEventListener("visibilitychange", () => { if (timer) save(); });
