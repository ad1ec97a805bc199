// Tabs in step: whatever changes the list in one tab is looked up by the others. A request each that is mostly answered
// with "nothing new"; no connection stays open for it.

const list = document.querySelector("#conversations");
const channel = new BroadcastChannel("conversations");
const look = () => {
  if (document.visibilityState === "visible") list.dispatchEvent(new Event("stale"));
};
const changed = () => {
  look();
  channel.postMessage("changed");
};
addEventListener("conversations:changed", changed);
addEventListener("htmx:sse:after:connection", changed); // a turn begins
addEventListener("done", changed); // and ends
channel.addEventListener("message", () => {
  look();
  dispatchEvent(new Event("tabs:changed")); // the open conversation may be what has changed
});
document.addEventListener("visibilitychange", look);

// Other browsers, programs, and titles that come later.
const RUNNING = 3_000;
const QUIET = 30_000;
let asked = Date.now();
setInterval(() => {
  const pause = list.querySelector(".running") ? RUNNING : QUIET;
  if (Date.now() - asked < pause) return;
  asked = Date.now();
  look();
}, 1_000);
