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

// What another tab brought meanwhile is shown when this one is looked at again.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !composer.querySelector(".stop")) htmx.trigger(document.querySelector("#news"), "seen");
});
