// The palette: finds conversations, commands and presets by what is typed. Arrows choose, Enter goes.

const palette = document.querySelector("#palette");
const input = palette.querySelector("input");
const box = palette.querySelector("[role=listbox]");
const status = palette.querySelector("[role=status]");
const template = document.querySelector("#palette-commands").content;
const commands = [...template.querySelectorAll("[role=option]")];
const [talk, tool] = template.querySelectorAll("i > svg, b > svg");
const isMac = /Mac|iP/.test(navigator.platform);
const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
const openBlock = () => document.querySelector(".message") && /^\/c\/([^/]+)$/.exec(location.pathname)?.[1];

// Options. Each says what it does in `run`.
const run = new WeakMap();
const option = (icon, text, note, action) => {
  const made = document.createElement("div");
  made.role = "option";
  made.append(icon.cloneNode(true), ...[["span", text], ["small", note]].filter(([, said]) => said.length).map(([tag, said]) => {
    const part = document.createElement(tag);
    part.append(...[said].flat());
    return part;
  }));
  run.set(made, action);
  return made;
};
const marked = ({ snippet }) => snippet.map(([text, found]) => {
  if (!found) return text;
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
});
const go = (href) => () => location.assign(href);
const conversation = ({ id, title, match }) => {
  const branch = match?.branch ? `?branch=${match.branch}` : "";
  const place = /^[\w-]+$/.test(match?.messageId ?? "") ? `#m-${match.messageId}` : "";
  return option(talk, title || "New chat", match?.messageId ? marked(match) : "", go(`/c/${encodeURIComponent(id)}${branch}${place}`));
};
const has = (words, text) => words.every((word) => text.toLowerCase().includes(word));

const commandOptions = (words) => commands.flatMap((command) => {
  const { href, do: action, click, event, keys } = command.dataset;
  const block = openBlock();
  if (!has(words, command.textContent) || (action && !block) || (click && !last(click))) return [];
  const made = document.importNode(command, true);
  if (keys) made.append(Object.assign(document.createElement("kbd"), { textContent: keys.replace("mod", isMac ? "⌘" : "Ctrl").replace("shift", isMac ? "⇧" : "Shift").replaceAll("+", isMac ? "" : "+") }));
  run.set(made, () => {
    if (href) location.assign(href);
    else if (action) dispatchEvent(new CustomEvent("conversation:do", { detail: { action, block } }));
    else if (click) last(click).click();
    else dispatchEvent(new Event(event));
  });
  return [made];
});

let presets = [];
const fetched = async (url, signal) => {
  const response = await fetch(url, { signal, headers: { accept: "application/json" } });
  if (!response.ok) throw new Error("no answer");
  return response.json();
};
const usePreset = (name) => () => {
  const select = document.querySelector("select#preset");
  if (!select) return location.assign(`/?preset=${encodeURIComponent(name)}`);
  select.value = name;
  select.dispatchEvent(new Event("change", { bubbles: true }));
};
const presetOptions = (words) => presets
  .filter(({ name, title, model }) => has(words, `preset ${name} ${title} ${model}`))
  .map(({ name, title, model }) => option(tool, title, model === title ? "" : model, usePreset(name)));

const recent = () => [...document.querySelectorAll("#conversations .title:not([aria-current])")].slice(0, 5)
  .map((link) => option(talk, link.querySelector("span").textContent, "", go(link.href)));

// The list.
const choose = (chosen) => {
  box.querySelector("[aria-selected=true]")?.removeAttribute("aria-selected");
  if (!chosen) return input.removeAttribute("aria-activedescendant");
  chosen.setAttribute("aria-selected", "true");
  input.setAttribute("aria-activedescendant", chosen.id);
};
const all = () => [...box.querySelectorAll("[role=option]")];
const add = (name, options) => {
  if (!options.length) return;
  const group = document.createElement("div");
  group.role = "group";
  group.ariaLabel = name;
  group.dataset.name = name;
  group.append(...options);
  box.append(group);
  all().forEach((made, index) => { made.id = `palette-${index}`; });
};
const show = (groups) => {
  box.replaceChildren();
  for (const [name, options] of groups) add(name, options);
  choose(all()[0]);
  box.scrollTop = 0;
  const count = all().length;
  status.textContent = count ? `${count} ${count === 1 ? "result" : "results"}` : "Nothing found.";
  box.classList.toggle("empty", !count);
};

let timer;
let asking = new AbortController();
let found = [];
const update = (conversations = []) => {
  found = conversations;
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rest = [["Commands", commandOptions(words)], ["Presets", presetOptions(words)]];
  show(words.length ? [...rest, ["Conversations", found]] : [["Recent", recent()], ...rest]);
};
const search = async () => {
  const words = input.value.trim();
  asking.abort();
  asking = new AbortController();
  if (!words) return;
  try {
    const { signal } = asking;
    const page = await fetched(`/api/ai/conversations?limit=8&archived=all&q=${encodeURIComponent(words)}`, signal);
    if (!signal.aborted) update(page.conversations.map(conversation));
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = "Conversations could not be searched.";
  }
};
input.addEventListener("input", () => {
  update();
  clearTimeout(timer);
  timer = setTimeout(search, 150);
});
const take = (chosen) => {
  if (!chosen) return;
  palette.close();
  run.get(chosen)();
};
input.addEventListener("keydown", (event) => {
  const options = all();
  const at = options.findIndex((made) => made.ariaSelected === "true");
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: Math.min(at + 8, options.length - 1), PageUp: Math.max(at - 8, 0) }[event.key];
  if (event.isComposing || (next === undefined && event.key !== "Enter")) return;
  event.preventDefault();
  if (next === undefined) return take(options[at]);
  choose(options.at(next % options.length));
  box.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
});
box.addEventListener("mousemove", ({ target }) => {
  const chosen = target.closest("[role=option]");
  if (chosen && chosen.ariaSelected !== "true") choose(chosen);
});
box.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the field
box.addEventListener("click", ({ target }) => take(target.closest("[role=option]")));

new MutationObserver(async () => {
  clearTimeout(timer);
  asking.abort();
  box.replaceChildren();
  if (!palette.open) return;
  input.value = "";
  update();
  if (presets.length) return;
  const told = (await fetched("/api/ai/presets").catch(() => ({ presets: [] }))).presets;
  const look = ({ provider, title, model }) => JSON.stringify([provider, title, model]);
  presets = told.filter((preset, index) => told.findIndex((other) => look(other) === look(preset)) === index);
  if (!palette.open) return;
  if (input.value) update(found);
  else add("Presets", presetOptions([]));
}).observe(palette, { attributeFilter: ["open"] });
