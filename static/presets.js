// Presets: a choice is kept with the conversation at once; in an empty one the greeting names the new one.

document.querySelector("#preset").addEventListener("change", ({ target }) => {
  document.querySelector("#notice .failure, #notice .error")?.remove();
  if (document.querySelector("#welcome")) {
    htmx.ajax("GET", `/?preset=${encodeURIComponent(target.value)}`, { target: "#welcome", select: "#welcome", swap: "outerHTML" });
    return;
  }
  if (document.querySelector("#history")) return; // a temporary chat: the choice goes with the form
  fetch(`/api/ai/blocks/${encodeURIComponent(target.dataset.block)}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ "ai:preset": target.value }),
  });
});
