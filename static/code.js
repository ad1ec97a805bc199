// Code blocks: buttons to copy and to wrap lines, beside the language. Only finished blocks; their bar has its height already.

const actions = document.querySelector("#code-actions");
// What scrolls must be reachable by keys. The observer is told the sizes when they are known anyway, so nothing is laid out for it.
const sizes = new ResizeObserver((entries) => {
  const wide = entries.map(({ target }) => target).filter((code) => code.scrollWidth > code.clientWidth);
  for (const code of wide) code.tabIndex = 0;
});
const dress = (root) => {
  const bars = root.querySelectorAll(".code:not(.growing) > .code-bar:not(:has(button))");
  for (const bar of bars) bar.append(actions.content.cloneNode(true));
  for (const bar of bars) sizes.observe(bar.parentElement.querySelector("code"));
};
dress(document);
addEventListener("htmx:before:settle", ({ target }) => dress(target.matches(".code") ? target.parentElement : target));

addEventListener("click", ({ target }) => {
  const wrap = target.closest("[data-wrap]");
  if (wrap) wrap.ariaPressed = wrap.closest(".code").classList.toggle("wrapped");
  const button = target.closest("[data-copy=code]");
  const text = button?.closest(".code").querySelector("code").textContent;
  if (button) button.dispatchEvent(new CustomEvent("text:copy", { bubbles: true, detail: { text } }));
});
