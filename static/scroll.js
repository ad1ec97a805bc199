// Scrolling: follow the answer, unless the reader has scrolled up. Who comes near the top gets the messages above, and an
// address that names a message leads to it, however far above it stands.

const composer = document.querySelector("#composer");
const page = document.scrollingElement;
const toEnd = document.querySelector("#to-end");
let following = !location.hash;
let last = 0;
let anchor = null; // what stays where it is when messages come in above it
const distance = () => page.scrollHeight - page.clientHeight - page.scrollTop;
const topOf = (element) => element.getBoundingClientRect().top;
const follow = () => {
  if (anchor && !anchor.link.isConnected) {
    page.scrollTop += topOf(anchor.message) - anchor.top;
    anchor = null;
  } else if (following && !document.querySelector("#welcome")) page.scrollTop = page.scrollHeight;
  last = page.scrollTop;
  toEnd.hidden = following || distance() < 200;
};
const keepPlace = (link) => {
  following = false;
  const message = link.closest("#earlier").nextElementSibling;
  anchor = { link, message, top: topOf(message) };
};
// Only a reader scrolls upwards: an answer that grows leaves the position where it is.
addEventListener("scroll", () => {
  if (anchor?.link.isConnected) anchor.top = topOf(anchor.message);
  const isUpwards = page.scrollTop < last;
  if (distance() < 60) following = true;
  else if (isUpwards) following = false;
  if (isUpwards && !following && !anchor && page.scrollTop < 800) document.querySelector("#earlier a")?.click();
  if (!anchor) follow();
}, { passive: true });
addEventListener("wheel", (event) => { if (event.deltaY < 0) following = false; }, { passive: true });
new ResizeObserver(follow).observe(document.querySelector("#transcript"));
addEventListener("click", ({ target }) => { if (target.closest("#transcript summary")) following = false; }, true); // what is opened stays where it is
toEnd.addEventListener("click", () => {
  following = true;
  follow();
});
composer.addEventListener("submit", () => { following = true; });
document.querySelector("#branch").addEventListener("submit", () => { following = false; });
addEventListener("click", ({ target }) => {
  const link = target.closest("#earlier a");
  if (link && !anchor) keepPlace(link);
}, true);
addEventListener("htmx:error", () => { anchor = null; });

// The message that the address names. Where it stands further up, the part of the conversation comes that begins with it.
const seek = async () => {
  if (!location.hash.startsWith("#m-") || document.querySelector("#found")) return; // else another version is to come
  const id = location.hash.slice(1);
  const link = document.querySelector("#earlier a");
  if (link && !document.getElementById(id)) {
    await htmx.ajax("GET", `${link.href}&at=${encodeURIComponent(id)}`, { target: "#earlier", swap: "outerHTML" });
  }
  const message = document.getElementById(id);
  if (!message) return;
  following = false;
  anchor = null;
  message.tabIndex = -1;
  message.focus({ preventScroll: true });
  message.scrollIntoView({ block: "start" });
  history.replaceState(null, "", location.pathname + location.search);
};
addEventListener("hashchange", seek);
addEventListener("htmx:after:process", seek, { once: true });
follow();
