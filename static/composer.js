// Composer: Enter sends (Ctrl+Enter on a phone too), Shift+Enter breaks the line, an input method's Enter is its own; Up
// edits what was sent last.
// `composer:fill` puts another text, and other files, into it.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const isFine = matchMedia("(pointer: fine)").matches; // else a phone: the focus opens its keyboard, Enter breaks the line
const isInputMethod = (event) => event.isComposing || event.keyCode === 229; // Safari's last Enter says only the latter
const files = () => [...document.querySelectorAll("#attachments input:checked")].map(({ value, dataset }) => ({ url: value, ...dataset }));
const isEmpty = () => !text.value && !document.querySelector("#attachments li");
const fill = (detail) => composer.dispatchEvent(new CustomEvent("composer:fill", { detail }));

text.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || isInputMethod(event) || event.altKey || event.shiftKey) return;
  const hasModifier = event.ctrlKey || event.metaKey;
  if (event.key === "Enter" && (isFine || hasModifier)) {
    event.preventDefault();
    if (text.value.trim() || files().length || document.querySelector("#attachments [aria-busy]")) composer.requestSubmit();
  } else if (hasModifier) return;
  else if (event.key === "ArrowUp" && isEmpty()) {
    const last = [...document.querySelectorAll("[data-edit]")].at(-1);
    if (!last) return;
    event.preventDefault();
    last.click();
  } else if (event.key === "Escape" && editing) {
    event.preventDefault();
    cancel();
  }
});
addEventListener("keydown", (event) => {
  const isElsewhere = document.querySelector("dialog[open], :popover-open") || event.target.closest?.("select, #variables");
  if (event.key !== "Escape" || event.defaultPrevented || isInputMethod(event) || isElsewhere) return;
  composer.querySelector(".stop")?.click();
});
const focus = () => { if (document.activeElement === document.body && isFine) text.focus({ preventScroll: true }); };
focus();
// The button that had the focus is gone. After one request for approval comes the next, if there is one.
let answered = false;
composer.addEventListener("submit", ({ submitter }) => {
  answered = submitter?.closest(".approval") != null;
  if (answered && isFine) text.focus();
});
addEventListener("done", () => {
  const next = answered && !text.value && document.querySelector(".message:last-child .tool:has(.approval button) summary");
  if (next) next.focus();
  else focus();
  answered = false;
});
if (!CSS.supports("field-sizing", "content")) {
  text.addEventListener("input", () => {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  });
}
composer.addEventListener("composer:fill", ({ detail }) => {
  text.value = detail.text;
  text.dispatchEvent(new Event("input", { bubbles: true }));
});

// Of the messages nothing can be changed while an answer is written.
const action = document.querySelector("#composer-action");
new MutationObserver(() => {
  document.querySelector("#transcript").toggleAttribute("data-running", action.querySelector(".stop") !== null);
}).observe(action, { childList: true });

// What was sent goes when the server has taken it, not before.
let sent = null;
let editing = null; // what was there before a message was edited
composer.addEventListener("submit", (event) => {
  sent = event.submitter?.name ? null : { text: text.value, urls: files().map((file) => file.url) };
});
composer.addEventListener("htmx:sse:after:connection", () => {
  if (sent) {
    const left = { text: text.value === sent.text ? "" : text.value, files: files().filter((file) => !sent.urls.includes(file.url)) };
    const isNew = left.text || left.files.length;
    document.querySelector("#message-id").name = "message_id"; // what is left is a draft of its own
    fill(isNew || !editing ? left : editing.draft);
  }
  sent = null;
  editing = null;
  if (location.pathname !== composer.getAttribute("action")) {
    history.replaceState(null, "", composer.getAttribute("action"));
  }
});

// Editing: a message comes back into the box, and what is sent from there is another version of it.
const attached = (message) => [...message.querySelectorAll(".files > img[src^='/files/'], .files > a[href^='/files/']")].map((element) => {
  const isImage = element.matches("img");
  const name = isImage ? element.alt : element.textContent.trim();
  const address = isImage ? element.getAttribute("src") : element.getAttribute("href").split("?")[0];
  return { url: `${address}?name=${encodeURIComponent(name)}`, name, type: isImage ? "image/png" : "" };
});
const mark = (link, isEdited) => {
  link.ariaCurrent = isEdited ? "true" : null;
  link.closest(".message").toggleAttribute("data-editing", isEdited);
};
const edit = (link) => {
  const field = document.querySelector("#message-id");
  const message = link.closest(".message");
  if (editing) mark(editing.link, false);
  editing = { draft: { text: text.value, files: files() }, name: field.name, value: field.value, ...editing, link };
  Object.assign(field, { name: "edit", value: link.dataset.edit });
  mark(link, true);
  document.querySelector("#notice").replaceChildren(document.querySelector("#editing").content.cloneNode(true));
  fill({ text: message.querySelector(".bubble")?.textContent ?? "", files: attached(message) });
  text.focus({ preventScroll: true });
  message.scrollIntoView({ block: "nearest" }); // it stays beside what it becomes
};
const cancel = () => {
  const { draft, link, name, value } = editing;
  editing = null;
  fill(draft);
  Object.assign(document.querySelector("#message-id"), { name, value });
  mark(link, false);
  document.querySelector("#notice").replaceChildren();
  text.focus({ preventScroll: true });
};
addEventListener("click", (event) => {
  const link = event.target.closest("[data-edit], [data-edit-end]");
  if (!link || (!link.dataset.edit && !editing)) return; // an edit that the server began is ended by the server
  event.preventDefault();
  if (link.dataset.edit) edit(link);
  else cancel();
});
