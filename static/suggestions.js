// Suggestions: `/` at the start offers commands and prompt templates, `@` who shall answer.
// The focus stays in the box, which says with aria-activedescendant what is meant.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const list = document.querySelector("#suggestions");
const status = document.querySelector("#composer-status");
const preset = document.querySelector("#preset");
const LONGEST = 65;

let open = null; // the sign and its start in the text
let dismissed = -1; // where the sign stands whose menu was closed
let chosen = 0;
let templates = null;

const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
// The commands of the palette that have a name to type.
const block = () => document.querySelector(".message") && /^\/c\/([^/]+)$/.exec(location.pathname)?.[1];
const commands = [...document.querySelector("#palette-commands").content.querySelectorAll("[data-slash]")].map(({ dataset, textContent }) => ({
  name: `/${dataset.slash}`,
  hint: textContent.trim(),
  isThere: () => (dataset.click ? last(dataset.click)?.checkVisibility() : !dataset.do || block()),
  run: () => {
    if (dataset.href) location.assign(dataset.href);
    else if (dataset.click) last(dataset.click).click();
    else dispatchEvent(new CustomEvent("conversation:do", { detail: { action: dataset.do, block: block() } }));
  },
}));
const presets = () => [...preset.options].map((option) => ({
  name: option.firstChild.textContent.trim(),
  hint: option.querySelector("small")?.textContent.trim() ?? "",
  also: option.value,
  run: () => {
    preset.value = option.value;
    preset.dispatchEvent(new Event("change", { bubbles: true }));
    status.textContent = `${option.firstChild.textContent.trim()} answers.`;
  },
}));
const load = async () => {
  templates = [];
  const found = await fetch("/api/ai/templates").then((answer) => answer.json()).catch(() => ({}));
  templates = (found.templates ?? []).map((template) => ({
    name: `/${template.name}`,
    hint: template.title || template.description || "",
    also: `${template.title ?? ""} ${template.description ?? ""}`,
    run: () => composer.dispatchEvent(new CustomEvent("composer:template", { detail: template })),
  }));
  look();
};

// The word before the caret that begins with a sign.
const sign = () => {
  const caret = text.selectionStart;
  if (caret !== text.selectionEnd) return null;
  const before = text.value.slice(Math.max(0, caret - LONGEST), caret);
  const match = caret < LONGEST ? /^\/[\w-]*$|(?:^|(?<=\s))@[^\s@]*$/.exec(before) : /(?<=\s)@[^\s@]*$/.exec(before);
  return match && { kind: match[0][0], word: match[0].slice(1).toLowerCase(), start: caret - match[0].length, end: caret };
};
const matching = ({ kind, word }) => {
  const all = kind === "@" ? presets() : [...(templates ?? []), ...commands.filter((command) => command.isThere())];
  const rank = ({ name, also = "" }) => {
    const plain = name.replace("/", "").toLowerCase();
    return plain.startsWith(word) ? 0 : `${plain} ${also.toLowerCase()}`.includes(word) ? 1 : 2;
  };
  return all.filter((item) => rank(item) < 2).sort((one, other) => rank(one) - rank(other));
};
const close = () => {
  open = null;
  list.hidden = true;
  text.removeAttribute("aria-activedescendant");
};
const point = (index) => {
  const items = [...list.children];
  chosen = (index + items.length) % items.length;
  items.forEach((item, number) => { item.ariaSelected = String(number === chosen); });
  text.setAttribute("aria-activedescendant", items[chosen].id);
  items[chosen].scrollIntoView({ block: "nearest" });
};
const look = () => {
  const found = document.activeElement === text ? sign() : null;
  if (!found) dismissed = -1;
  if (!found || found.start === dismissed) return close();
  if (found.kind === "/" && templates === null) load();
  const items = matching(found);
  if (items.length === 0) return close();
  const isNew = open?.start !== found.start || open.word !== found.word || open.items.length !== items.length;
  open = { ...found, items };
  if (!isNew) return;
  list.replaceChildren(...items.map((item, index) => {
    const row = document.createElement("li");
    Object.assign(row, { id: `suggestion-${index}`, role: "option" });
    row.dataset.index = index;
    const [name, hint] = [document.createElement("b"), document.createElement("span")];
    name.textContent = item.name;
    hint.textContent = item.hint;
    row.append(name, hint);
    return row;
  }));
  list.ariaLabel = found.kind === "@" ? "Presets" : "Commands and templates";
  list.hidden = false;
  status.textContent = items.length === 1 ? "One suggestion." : `${items.length} suggestions.`;
  point(0);
};
const pick = (index) => {
  const { items, start, end } = open;
  text.setRangeText("", start, end, "end");
  close();
  text.dispatchEvent(new Event("input", { bubbles: true }));
  items[index].run();
};

text.addEventListener("keydown", (event) => {
  if (!open || event.isComposing || event.keyCode === 229 || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowDown") point(chosen + 1);
  else if (event.key === "ArrowUp") point(chosen - 1);
  else if (event.key === "Enter" || event.key === "Tab") pick(chosen);
  else if (event.key === "Escape") {
    dismissed = open.start;
    close();
  } else return;
  event.preventDefault();
});
text.addEventListener("input", look);
document.addEventListener("selectionchange", () => { if (document.activeElement === text) look(); });
text.addEventListener("blur", close);
list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the box
list.addEventListener("click", ({ target }) => {
  const row = target.closest("li");
  if (row) pick(Number(row.dataset.index));
});
