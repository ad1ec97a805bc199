// Code blocks: buttons to copy and to wrap lines, beside the language. Only finished blocks; their bar has its height already.

const actions = document.querySelector("#code-actions");
const dress = (root) => {
  for (const bar of root.querySelectorAll(".code:not(.growing) > .code-bar:not(:has(button))")) {
    bar.append(actions.content.cloneNode(true));
    const code = bar.parentElement.querySelector("code");
    if (code.scrollWidth > code.clientWidth) code.tabIndex = 0; // what scrolls must be reachable by keys
  }
};
dress(document);
addEventListener("htmx:before:settle", ({ target }) => dress(target.matches(".code") ? target.parentElement : target));

const copy = async (button, value) => {
  await navigator.clipboard.writeText(value);
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1500);
};
addEventListener("click", ({ target }) => {
  const wrap = target.closest("[data-wrap]");
  if (wrap) wrap.ariaPressed = wrap.closest(".code").classList.toggle("wrapped");
  const button = target.closest("[data-copy=code]");
  if (button) copy(button, button.closest(".code").querySelector("code").textContent);
});
