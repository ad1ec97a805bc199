// Composer: Enter sends, Shift+Enter breaks the line, an input method's Enter is its own.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const isRunning = () => composer.querySelector(".stop") !== null;
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  if (matchMedia("(pointer: coarse)").matches) return; // on a phone Enter breaks the line, the button sends
  event.preventDefault();
  if (text.value.trim() && !isRunning()) composer.requestSubmit();
});
addEventListener("keydown", (event) => {
  const isElsewhere = document.querySelector("dialog[open], :popover-open") || event.target.closest?.("select");
  if (event.key === "Escape" && !event.isComposing && !isElsewhere) composer.querySelector(".stop")?.click();
});
const focus = () => {
  const isFree = document.activeElement === document.body;
  if (isFree && matchMedia("(pointer: fine)").matches) text.focus(); // on a phone that would open the keyboard
};
focus();
// The button that had the focus is gone. After one request for approval comes the next, if there is one.
let answered = false;
composer.addEventListener("submit", ({ submitter }) => {
  answered = submitter?.closest(".approval") != null;
  if (answered && matchMedia("(pointer: fine)").matches) text.focus();
});
addEventListener("done", () => {
  const next = answered && !text.value && document.querySelector(".message:last-child .tool:has(.approval button) summary");
  if (next) next.focus();
  else focus();
  answered = false;
});
if (!CSS.supports("field-sizing", "content")) {
  text.addEventListener("input", () => {
    text.rows = 1;
    while (text.rows < 12 && text.scrollHeight > text.clientHeight) text.rows += 1;
  });
}
const fill = (value) => {
  text.value = value;
  text.dispatchEvent(new Event("input"));
};
// The text goes when the server has taken it, not before.
let sent = "";
let editing = null; // what was there before a message was edited
composer.addEventListener("submit", (event) => { sent = event.submitter?.name ? "" : text.value; });
composer.addEventListener("htmx:sse:after:connection", () => {
  if (sent && text.value === sent) fill(editing?.draft ?? "");
  sent = "";
  editing = null;
  if (location.pathname !== composer.getAttribute("action")) {
    history.replaceState(null, "", composer.getAttribute("action"));
  }
});
// Editing: a message comes back into the box, and what is sent from there is another version of it.
const edit = (link) => {
  const field = document.querySelector("#message-id");
  editing?.link.removeAttribute("aria-current");
  editing = { draft: text.value, name: field.name, value: field.value, ...editing, link };
  Object.assign(field, { name: "edit", value: link.dataset.edit });
  link.setAttribute("aria-current", "true");
  document.querySelector("#notice").replaceChildren(document.querySelector("#editing").content.cloneNode(true));
  fill(link.closest(".message").querySelector(".bubble").textContent);
  text.focus();
};
const cancel = () => {
  Object.assign(document.querySelector("#message-id"), { name: editing.name, value: editing.value });
  editing.link.removeAttribute("aria-current");
  document.querySelector("#notice").replaceChildren();
  fill(editing.draft);
  text.focus();
  editing = null;
};
addEventListener("click", (event) => {
  const link = event.target.closest("[data-edit], [data-edit-end]");
  if (!link || (!link.dataset.edit && !editing)) return; // an edit that the server began is ended by the server
  event.preventDefault();
  if (link.dataset.edit) edit(link);
  else cancel();
});
text.addEventListener("keydown", (event) => { if (event.key === "Escape" && editing) cancel(); });
