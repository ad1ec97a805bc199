// What HTML and htmx cannot do. Each block stands alone; the page works without any of them.
"use strict";

const $ = (selector) => document.querySelector(selector);
const composer = $("#composer");
const text = $("#text");

// Scrolling: follow the answer, unless the reader has scrolled up.
{
  const page = document.scrollingElement;
  const toEnd = $("#to-end");
  let following = true;
  let last = 0;
  const distance = () => page.scrollHeight - page.clientHeight - page.scrollTop;
  const follow = () => {
    if (following && !$("#welcome")) page.scrollTop = page.scrollHeight;
    last = page.scrollTop;
    toEnd.hidden = following || distance() < 200;
  };
  // Only a reader scrolls upwards: an answer that grows leaves the position where it is.
  addEventListener("scroll", () => {
    if (distance() < 60) following = true;
    else if (page.scrollTop < last) following = false;
    follow();
  }, { passive: true });
  addEventListener("wheel", (event) => { if (event.deltaY < 0) following = false; }, { passive: true });
  new ResizeObserver(follow).observe($("#transcript"));
  toEnd.addEventListener("click", () => {
    following = true;
    follow();
  });
  composer.addEventListener("submit", () => { following = true; });
  $("#branch").addEventListener("submit", () => { following = false; });
  follow();
}

// Composer: Enter sends, Shift+Enter breaks the line, an input method's Enter is its own.
{
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
    const next = answered && !text.value && $(".message:last-child .tool:has(.approval button) summary");
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
    const field = $("#message-id");
    editing?.link.removeAttribute("aria-current");
    editing = { draft: text.value, name: field.name, value: field.value, ...editing, link };
    Object.assign(field, { name: "edit", value: link.dataset.edit });
    link.setAttribute("aria-current", "true");
    $("#notice").replaceChildren($("#editing").content.cloneNode(true));
    fill(link.closest(".message").querySelector(".bubble").textContent);
    text.focus();
  };
  const cancel = () => {
    Object.assign($("#message-id"), { name: editing.name, value: editing.value });
    editing.link.removeAttribute("aria-current");
    $("#notice").replaceChildren();
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
}

// A lost connection says so, and stops saying so. htmx tries again by itself.
{
  const notice = $("#notice");
  const say = (message) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = message;
    paragraph.className = "offline";
    paragraph.role = "status";
    notice.replaceChildren(paragraph);
  };
  addEventListener("htmx:sse:error", () => say("The connection was lost. Trying again…"));
  addEventListener("htmx:sse:after:connection", () => notice.querySelector(".offline")?.remove());
  addEventListener("htmx:error", (event) => {
    if (event.target === composer) say("The server does not answer. Your message is still in the box.");
  });
}

// What another tab brought meanwhile is shown when this one is looked at again.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !composer.querySelector(".stop")) htmx.trigger($("#news"), "seen");
});

// Presets: a choice is kept with the conversation at once; in an empty one the greeting names the new one.
{
  $("#preset").addEventListener("change", ({ target }) => {
    $("#notice .failure, #notice .error")?.remove();
    if ($("#welcome")) {
      htmx.ajax("GET", `/?preset=${encodeURIComponent(target.value)}`, { target: "#welcome", select: "#welcome", swap: "outerHTML" });
      return;
    }
    fetch(`/api/ai/blocks/${encodeURIComponent(target.dataset.block)}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ "ai:preset": target.value }),
    });
  });
}

// Code blocks: a bar with the language and a button to copy. Only finished blocks; the place is reserved by the style sheet.
{
  const template = $("#code-bar");
  const dress = (root) => {
    for (const code of root.querySelectorAll(".prose pre > code:first-child")) {
      if (code.closest(".tail")) continue;
      const bar = template.content.firstElementChild.cloneNode(true);
      const language = [...code.classList].find((name) => name.startsWith("language-"));
      bar.firstElementChild.textContent = language ? language.slice("language-".length) : "";
      code.before(bar);
      if (code.scrollWidth > code.clientWidth) code.tabIndex = 0; // what scrolls must be reachable by keys
    }
  };
  dress(document);
  addEventListener("htmx:before:settle", (event) => dress(event.target));

  const copy = async (button, value) => {
    await navigator.clipboard.writeText(value);
    button.dataset.copied = "";
    setTimeout(() => delete button.dataset.copied, 1500);
  };
  addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy]");
    if (!button) return;
    if (button.dataset.copy === "code") copy(button, button.closest("pre").querySelector("code").textContent);
    else {
      const paragraphs = button.closest(".message").querySelectorAll(".parts > .prose");
      copy(button, [...paragraphs].map((part) => part.innerText.trim()).join("\n\n"));
    }
  });
}

// Deleting asks first, in a dialog of the page.
{
  const dialog = $("#confirm");
  addEventListener("htmx:confirm", (event) => {
    const { ctx, issueRequest, dropRequest } = event.detail;
    event.preventDefault();
    dialog.querySelector("b").textContent = ctx.confirm;
    dialog.returnValue = "";
    dialog.onclose = () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest());
    dialog.showModal();
  });
  addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    const isOpen = ctx.request.action === `/api/ai/conversations/${$("#preset").dataset.block}`;
    if (ctx.request.method === "DELETE" && ctx.response.raw.ok && isOpen) location.assign("/");
  });
}

// Colours.
{
  const chosen = document.documentElement.dataset.theme ?? "auto";
  for (const input of document.querySelectorAll("input[name=theme]")) {
    input.checked = input.value === chosen;
    input.addEventListener("change", () => {
      if (input.value === "auto") {
        delete document.documentElement.dataset.theme;
        localStorage.removeItem("theme");
      } else {
        document.documentElement.dataset.theme = input.value;
        localStorage.setItem("theme", input.value);
      }
    });
  }
}
