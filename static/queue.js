// Queue: what is sent while an answer runs waits above the box, and follows when the answer has ended well.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const list = document.querySelector("#queue");
const status = document.querySelector("#composer-status");
const template = document.querySelector("#queued");
const key = `queue:${document.querySelector("#preset").dataset.block}`;

const isTemporary = composer.getAttribute("action").startsWith("/temporary/"); // nothing of it is kept

let waiting = [];
let sending = null;
let isBusy = false; // the form's own request is not over
let isDue = false;
let wasStopped = false;
try {
  waiting = JSON.parse(sessionStorage.getItem(key)) ?? [];
} catch {
  // no storage: nothing waits after a reload
}
const isRunning = () => composer.querySelector(".stop") !== null;
const isEditing = () => document.querySelector("#message-id").name === "edit";
const endedWell = () => {
  const last = document.querySelector("#transcript .message:last-child");
  return !wasStopped && !document.querySelector("#notice .failure") && last?.matches(".answer") && !last.querySelector(".failure, .ending .note, .approval button");
};
const inTheBox = () => ({
  text: text.value,
  files: [...document.querySelectorAll("#attachments input:checked")].map(({ value, dataset }) => ({ url: value, ...dataset })),
});
const fill = (detail) => composer.dispatchEvent(new CustomEvent("composer:fill", { detail }));

const show = () => {
  list.replaceChildren(...waiting.map((message, index) => {
    const item = template.content.firstElementChild.cloneNode(true);
    const names = message.files.map((file) => file.name).join(", ");
    item.querySelector("p").textContent = [message.text.slice(0, 300), names].filter(Boolean).join(" · ");
    item.querySelector("[name]").value = index;
    item.querySelector("[name]").hidden = isRunning() || isBusy;
    for (const button of item.querySelectorAll("[data-queue]")) button.value = index;
    return item;
  }));
};
const keep = () => {
  try {
    if (waiting.length && !isTemporary) sessionStorage.setItem(key, JSON.stringify(waiting));
    else sessionStorage.removeItem(key);
  } catch {
    // no storage, or no room in it
  }
  show();
};
const sendNext = () => {
  if (!isDue || isRunning() || isBusy) return;
  isDue = false;
  show();
  if (waiting.length && endedWell() && !isEditing()) list.querySelector("[name]").click();
};

addEventListener("submit", (event) => {
  if (event.target !== composer) return;
  if (event.submitter?.name === "queued") sending = waiting[event.submitter.value];
  if (event.submitter?.name || !isRunning()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (isEditing()) {
    status.textContent = "A message can be changed when the answer has ended.";
    return;
  }
  waiting.push(inTheBox());
  keep();
  fill({ text: "", files: [] });
  status.textContent = "The message waits for the end of the answer.";
}, true);
composer.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  const { body } = ctx.request;
  if (!body.has?.("queued")) return;
  for (const name of ["queued", "file"]) body.delete(name);
  body.set("text", sending.text);
  for (const file of sending.files) body.append("file", file.url);
});
document.querySelector("#stop").addEventListener("submit", () => { wasStopped = true; });
composer.addEventListener("htmx:before:request", () => {
  isBusy = true;
  wasStopped = false;
});
composer.addEventListener("htmx:sse:after:connection", () => {
  if (sending) waiting = waiting.filter((message) => message !== sending);
  sending = null;
  keep();
});
composer.addEventListener("htmx:finally:request", () => {
  isBusy = false;
  sending = null;
  setTimeout(sendNext); // htmx takes the next request after this event
  show();
});
addEventListener("done", () => {
  isDue = true;
  setTimeout(sendNext);
});
list.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-queue]");
  if (!button) return;
  const [message] = waiting.splice(button.value, 1);
  if (button.dataset.queue === "edit") {
    const current = inTheBox();
    if (current.text || current.files.length) waiting.splice(button.value, 0, current); // they change places
    fill(message);
  }
  keep();
  text.focus();
});
show();
