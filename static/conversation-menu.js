// What can be done with a conversation: the menu of its row and of the open one, keys on its title, `conversation:do`
// from elsewhere.

const list = document.querySelector("#conversations");
const menu = document.querySelector("#conversation-menu");
const items = [...menu.querySelectorAll("[role=menuitem]")];
const sharing = menu.querySelector("[data-do=share]");
const leadToSharing = (block) => { // beside the conversation that is open, else on its page
  sharing.href = `/c/${encodeURIComponent(block)}/share`;
  sharing.dataset.panel = document.querySelector("#to-options")?.dataset.block === block ? "sharing-panel" : "";
};
const rowOf = (block) => list.querySelector(`[data-block="${CSS.escape(block)}"]`);
const url = (block, end = "") => `/api/ai/conversations/${encodeURIComponent(block)}${end}`;
const changed = () => dispatchEvent(new Event("conversations:changed"));
const say = (text, block) => dispatchEvent(new CustomEvent("toast", { detail: { text, block } }));
const ask = async (address, method, body) => {
  try {
    const headers = body && { "content-type": "application/json" };
    const response = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error();
    return true;
  } catch {
    say("That did not work. Try again.");
    return false;
  } finally {
    changed();
  }
};
const patch = (block, change) => ask(`/api/ai/blocks/${encodeURIComponent(block)}`, "PATCH", change);

const rename = (row) => {
  const link = row.querySelector(".title");
  const title = link.querySelector("span").textContent;
  const form = document.createElement("form");
  form.innerHTML = '<input aria-label="Title" maxlength="200" required autocomplete="off">';
  const input = form.firstElementChild;
  input.value = title;
  link.hidden = true;
  link.before(form);
  input.select();
  let ended = false; // removing the form takes the focus from it, which ends it too
  const end = (save, refocus) => {
    if (ended) return;
    ended = true;
    const said = input.value.trim();
    form.remove();
    link.hidden = false;
    if (refocus) link.focus();
    if (!save || !said || said === title) return;
    link.querySelector("span").textContent = said;
    patch(row.dataset.block, { title: said });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    end(true, true);
  });
  input.addEventListener("blur", () => end(true, false));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault(); // the drawer stays open
    event.stopPropagation();
    end(false, true);
  });
};

const trash = async (block, row) => {
  const next = row?.nextElementSibling?.querySelector("a") ?? row?.previousElementSibling?.querySelector("a");
  const isOpen = location.pathname === `/c/${block}`;
  const hadFocus = row?.contains(document.activeElement);
  if (!(await ask(url(block, "/trash"), "POST"))) return;
  if (isOpen) return location.assign(`/?deleted=${encodeURIComponent(block)}`);
  if (hadFocus) next?.focus();
  say("Conversation deleted.", block);
};

const act = (action, block) => {
  const row = rowOf(block);
  const is = (name) => name in row.dataset;
  if (action === "share") {
    leadToSharing(block);
    sharing.click();
  } else if (action === "trash") trash(block, row);
  else if (action === "export" || !row || (action === "rename" && !row.checkVisibility())) location.assign(`/c/${block}/options`);
  else if (action === "rename") rename(row);
  else if (action === "pin") patch(block, { pinned: is("pinned") ? null : true });
  else if (action === "archive") patch(block, { archived: is("archived") ? null : true });
};
addEventListener("conversation:do", ({ detail: { action, block } }) => act(action, block));

// The menu.
let opener;
const close = () => menu.hidePopover();
const blockOf = (button) => (button.closest(".conversation") ?? button).dataset;
const open = (button) => {
  opener = button;
  const { block } = blockOf(button);
  const dataset = rowOf(block)?.dataset ?? {};
  leadToSharing(block);
  (button.closest("#sidebar") ?? document.querySelector("main")).append(menu); // in a drawer that is open, or beside what it is about
  menu.querySelector("[data-do=pin] span").textContent = "pinned" in dataset ? "Unpin" : "Pin";
  menu.querySelector("[data-do=archive] span").textContent = "archived" in dataset ? "Unarchive" : "Archive";
  menu.showPopover();
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const isLeft = document.dir === "rtl" || left + width + 8 > innerWidth;
  menu.style.left = `${Math.max(8, isLeft ? right - width : left)}px`;
  menu.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height) : bottom}px`;
  button.setAttribute("aria-expanded", "true");
  items[0].focus();
};
addEventListener("click", (event) => {
  const button = event.target.closest?.(".conversation > .icon-button, #to-options");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(button);
});
list.addEventListener("keydown", (event) => {
  const row = event.target.closest(".conversation");
  if (event.key === " " && event.target.matches(".conversation > .icon-button")) event.target.click();
  else if (event.key === "F2" && row && event.target.matches("a")) rename(row);
  else if (event.key === "Delete" && row && event.target.matches("a")) trash(row.dataset.block, row);
  else return;
  event.preventDefault();
});
menu.addEventListener("toggle", ({ newState }) => {
  if (newState === "open") return;
  opener.removeAttribute("aria-expanded");
  if (document.activeElement === document.body) opener.focus();
});
menu.addEventListener("click", ({ target }) => {
  const item = target.closest("[role=menuitem]");
  if (!item) return;
  const { block } = blockOf(opener);
  close();
  opener.focus();
  if (item !== sharing) act(item.dataset.do, block); // that one is a link
});
menu.addEventListener("keydown", (event) => {
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") close();
  if (next === undefined) return;
  event.preventDefault();
  items.at(next % items.length).focus();
});
