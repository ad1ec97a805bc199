// What can be done with a conversation: the menu of its row and of the open one, keys on its title, `conversation:do`
// from elsewhere.

const list = document.querySelector("#conversations");
const menu = document.querySelector("#conversation-menu");
const items = [...menu.querySelectorAll("[role=menuitem]")];
const links = { share: menu.querySelector("[data-do=share]"), export: menu.querySelector("[data-do=export]") };
const lead = (block) => { // beside the conversation that is open, else to a page of its own
  const isOpen = document.querySelector("#to-options")?.dataset.block === block;
  for (const [action, page, panel] of [["share", "share", "sharing-panel"], ["export", "options", "export-panel"]]) {
    links[action].href = `/c/${encodeURIComponent(block)}/${page}`;
    links[action].dataset.panel = isOpen ? panel : "";
  }
};
const rowOf = (block) => list.querySelector(`[data-block="${CSS.escape(block)}"]`);
const url = (block, end = "") => `/api/ai/conversations/${encodeURIComponent(block)}${end}`;
const changed = () => dispatchEvent(new Event("conversations:changed"));
const say = (text, undo) => dispatchEvent(new CustomEvent("toast", { detail: { text, undo } }));
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
const blockUrl = (block) => `/api/ai/blocks/${encodeURIComponent(block)}`;
const patch = (block, change) => ask(blockUrl(block), "PATCH", change);

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

// A row that leaves the list gives the focus to the one beside it.
const leaver = (row) => {
  const titles = [...list.querySelectorAll(".title")];
  const at = titles.indexOf(row?.querySelector(".title"));
  const next = titles[at + 1] ?? titles[at - 1];
  const hadFocus = row?.contains(document.activeElement);
  return () => { if (hadFocus) next?.focus(); };
};
const trash = async (block, row) => {
  const leave = leaver(row);
  const isOpen = location.pathname === `/c/${block}`;
  if (!(await ask(url(block, "/trash"), "POST"))) return;
  if (isOpen) return location.assign(`/?deleted=${encodeURIComponent(block)}`);
  leave();
  say("Conversation deleted.", { address: url(block, "/restore"), method: "POST" });
};
const archive = async (block, row) => {
  const leave = leaver(row);
  const was = "archived" in row.dataset || null;
  if (!(await patch(block, { archived: was ? null : true }))) return;
  leave();
  say(was ? "Back from the archive." : "Conversation archived.", { address: blockUrl(block), method: "PATCH", body: { archived: was } });
};

const act = (action, block) => {
  const row = rowOf(block);
  if (action in links) {
    lead(block);
    links[action].click();
  } else if (action === "trash") trash(block, row);
  else if (!row || (action === "rename" && !row.checkVisibility())) location.assign(`/c/${block}/options`);
  else if (action === "rename") rename(row);
  else if (action === "pin") patch(block, { pinned: "pinned" in row.dataset ? null : true });
  else if (action === "archive") archive(block, row);
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
  lead(block);
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
  if (!(item.dataset.do in links)) act(item.dataset.do, block); // a link does it by itself
});
menu.addEventListener("keydown", (event) => {
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") close();
  if (next === undefined) return;
  event.preventDefault();
  items.at(next % items.length).focus();
});
