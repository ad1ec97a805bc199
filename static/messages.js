// What can be done with a message: copy it, rate it, its menu, its details. Alt and an arrow lead from one to the next.

const menu = document.querySelector("#message-menu");
const dialog = document.querySelector("#message-dialog");
const comment = document.querySelector("#comment");
const words = comment.querySelector("textarea");
const transcript = document.querySelector("#transcript");
const box = document.querySelector("#text");
const path = `/api/ai/conversations/${encodeURIComponent(document.querySelector("#preset").dataset.block)}/messages/`;
const isKept = () => document.querySelector("#history") === null; // of a temporary chat the server knows nothing
const say = (text) => dispatchEvent(new CustomEvent("toast", { detail: { text } }));

// Copying: the text as it was written, for whoever wants it also as it is shown.
const written = ({ parts }) => {
  let text = "";
  let isApart = false;
  for (const part of parts) {
    if (part.type === "text") {
      text += isApart && text ? `\n\n${part.text}` : part.text;
      isApart = false;
    } else if (/^(reasoning|file|tool-|dynamic-tool)/.test(part.type)) isApart = true;
  }
  return text.trim();
};
const answerText = async (id) => {
  if (!isKept()) return written(JSON.parse(document.querySelector("#history").value).find((message) => message.id === id));
  const response = await fetch(path + encodeURIComponent(id));
  if (!response.ok) throw new Error();
  return written((await response.json()).message);
};
const shown = (message) => {
  const copy = document.createElement("div");
  for (const part of message.querySelectorAll(".parts > .prose")) copy.append(part.cloneNode(true));
  for (const extra of copy.querySelectorAll(".code-bar, .fold > summary, .rows")) extra.remove();
  return copy.innerHTML;
};
const copy = (button) => {
  const message = button.closest(".message");
  const detail = button.dataset.copy === "answer"
    ? { text: answerText(button.parentElement.dataset.message), html: shown(message) }
    : { text: message.querySelector(".bubble").textContent };
  button.dispatchEvent(new CustomEvent("text:copy", { bubbles: true, detail }));
};

// Feedback: one of the two is pressed, and a word may be said about it.
const place = (popover, { left, right, top, bottom }) => {
  popover.showPopover();
  const { width, height } = popover.getBoundingClientRect();
  const isLeft = document.dir === "rtl" || left + width + 8 > innerWidth;
  popover.style.left = `${Math.max(8, isLeft ? right - width : left)}px`;
  popover.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height) : bottom}px`;
};
const give = async (actions, rating, text) => {
  const address = `${path}${encodeURIComponent(actions.dataset.message)}/feedback`;
  const body = rating && JSON.stringify({ rating, comment: text || undefined });
  const request = rating ? { method: "PUT", headers: { "content-type": "application/json" }, body } : { method: "DELETE" };
  const response = await fetch(address, request).catch(() => null);
  if (!response?.ok && response?.status !== 404) {
    say("That did not work. Try again.");
    return false;
  }
  for (const button of actions.querySelectorAll("[data-rate]")) {
    const isPressed = button.dataset.rate === rating;
    button.ariaPressed = isPressed;
    button.name = isPressed ? "unrate" : button.dataset.rate;
  }
  actions.dataset.comment = text;
  return true;
};
let rated;
const rate = async (button) => {
  const actions = button.parentElement;
  const rating = button.ariaPressed === "true" ? "" : button.dataset.rate;
  if (!(await give(actions, rating, "")) || !rating) return;
  rated = { actions, rating, button };
  comment.querySelector("label").textContent = rating === "up" ? "Thank you. What was good about it?" : "Thank you. What was wrong with it?";
  words.value = "";
  place(comment, button.getBoundingClientRect());
};
comment.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { actions, rating } = rated;
  const text = words.value.trim();
  if (text && !(await give(actions, rating, text))) return;
  comment.hidePopover();
  if (text) say("Noted.");
});
comment.addEventListener("toggle", ({ newState }) => {
  if (newState === "closed" && document.activeElement === document.body) rated.button.focus();
});

// The menu.
let opener;
const open = (button) => {
  opener = button;
  const id = button.value;
  const isAnswer = button.closest(".message").matches(".answer");
  for (const part of menu.querySelectorAll("[data-of-answer]")) part.hidden = !isAnswer;
  for (const item of menu.querySelectorAll("[role=menuitem]")) item.value = id;
  place(menu, button.getBoundingClientRect());
  button.setAttribute("aria-expanded", "true");
  items()[0]?.focus();
};
const items = () => [...menu.querySelectorAll("[role=menuitem]")].filter((item) => item.checkVisibility());
menu.addEventListener("toggle", ({ newState }) => {
  if (newState === "open") return;
  opener.removeAttribute("aria-expanded");
  if (document.activeElement === document.body) opener.focus();
});
menu.addEventListener("click", ({ target }) => {
  const item = target.closest("[role=menuitem]");
  if (!item) return;
  menu.hidePopover();
  opener.focus();
  if (item.dataset.piece) show(item.value, item.dataset.piece);
});
menu.addEventListener("keydown", (event) => {
  const all = items();
  const at = all.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (next === undefined) return;
  event.preventDefault();
  all.at(next % all.length).focus();
});

// Who answers once stands in the address that the menu's button names.
document.querySelector("#composer").addEventListener("htmx:config:request", ({ detail: { ctx: { request } } }) => {
  request.action = request.submitter?.getAttribute("formaction") ?? request.action;
});

// Details, and the question before something is deleted: pieces of the message's own page.
const show = async (id, piece) => {
  const inside = dialog.querySelector("div");
  const address = document.querySelector("#message").getAttribute("action");
  await htmx.ajax("GET", `${address}?id=${encodeURIComponent(id)}`, { target: inside, select: `#${piece}`, swap: "innerHTML" });
  if (!inside.firstElementChild) return;
  dialog.ariaLabel = inside.querySelector("h2").textContent;
  dialog.classList.toggle("asks", piece === "delete");
  dialog.showModal();
  inside.querySelector("[data-close]")?.focus();
};
dialog.addEventListener("close", () => dialog.querySelector("div").replaceChildren());
document.querySelector("#message-do")?.addEventListener("submit", () => dialog.close());

addEventListener("click", (event) => {
  const button = event.target.closest?.(".message :is([data-copy=answer], [data-copy=question], [data-rate], [form=message])");
  if (!button) {
    if (event.target.closest?.("#comment [data-close]")) comment.hidePopover();
    return;
  }
  event.preventDefault();
  if (button.dataset.copy) copy(button);
  else if (button.dataset.rate) rate(button);
  else if (button.dataset.piece) { if (isKept()) show(button.value, button.dataset.piece); }
  else open(button);
});

// From message to message. Behind the last one is the box.
addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return;
  if (document.querySelector("dialog[open], :popover-open") || event.target.matches("select")) return;
  if (event.target.matches("textarea, input") && event.target.value) return;
  const messages = [...transcript.querySelectorAll(":scope > .message")];
  const here = messages.indexOf(event.target.closest(".message"));
  const next = messages.at(here < 0 ? (step < 0 ? -1 : messages.length) : here + step);
  event.preventDefault();
  if (here === 0 && step < 0) return;
  if (!next) return box.focus();
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
});
