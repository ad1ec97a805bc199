// Code blocks: a bar with the language and a button to copy. Only finished blocks; the place is reserved by the style sheet.

const template = document.querySelector("#code-bar");
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
