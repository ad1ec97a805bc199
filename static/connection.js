// A lost connection says so, and stops saying so. htmx tries again by itself.

const composer = document.querySelector("#composer");
const notice = document.querySelector("#notice");
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

// What another tab brings is shown at once in a window that can be seen, else when it is looked at again.
const look = () => {
  const isBusy = composer.querySelector(".stop") || document.querySelector("#message-id").name === "edit";
  if (document.visibilityState === "visible" && !isBusy) htmx.trigger(document.querySelector("#news"), "seen");
};
document.addEventListener("visibilitychange", look);
addEventListener("tabs:changed", look);
