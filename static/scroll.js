// Scrolling: follow the answer, unless the reader has scrolled up. Who comes near the top gets the messages above.

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
follow();
