// Scrolling: follow the answer, unless the reader has scrolled up.

const composer = document.querySelector("#composer");
const page = document.scrollingElement;
const toEnd = document.querySelector("#to-end");
let following = true;
let last = 0;
const distance = () => page.scrollHeight - page.clientHeight - page.scrollTop;
const follow = () => {
  if (following && !document.querySelector("#welcome")) page.scrollTop = page.scrollHeight;
  last = page.scrollTop;
  toEnd.hidden = following || distance() < 200;
};
// Only a reader scrolls upwards: an answer that grows leaves the position where it is.
addEventListener("scroll", () => {
  if (distance() < 60) following = true;
  else if (page.scrollTop < last) following = false;
  follow();
}, { passive: true });
addEventListener("wheel", (event) => { if (event.deltaY < 0) following = false; }, { passive: true });
new ResizeObserver(follow).observe(document.querySelector("#transcript"));
toEnd.addEventListener("click", () => {
  following = true;
  follow();
});
composer.addEventListener("submit", () => { following = true; });
document.querySelector("#branch").addEventListener("submit", () => { following = false; });
follow();
