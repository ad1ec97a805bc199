// A word at the edge of the page: that something is deleted, with the way back, or that something did not work.

const toast = document.querySelector("#toast");
const undo = toast.querySelector("[name=restore]");
const drawer = document.querySelector("#sidebar");
const SECONDS = 8;
let timer;
let block;
const hide = () => {
  clearTimeout(timer);
  toast.hidden = true;
};
const wait = () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (toast.matches(":hover, :focus-within")) wait();
    else hide();
  }, SECONDS * 1000);
};
const show = (text, deleted) => {
  block = deleted;
  undo.hidden = !deleted;
  (drawer.matches(":popover-open") ? drawer : document.body).append(toast); // an open drawer lies above everything
  toast.hidden = false;
  toast.querySelector("p").textContent = text;
  wait();
};
drawer.addEventListener("toggle", () => document.body.append(toast));
addEventListener("toast", ({ detail }) => show(detail.text, detail.block));
toast.querySelector("[data-dismiss]").addEventListener("click", hide);
toast.addEventListener("submit", async (event) => {
  event.preventDefault();
  const restored = block;
  hide();
  const response = await fetch(`/api/ai/conversations/${encodeURIComponent(restored)}/restore`, { method: "POST" }).catch(() => null);
  if (!response?.ok) return show(response?.status === 404 ? "It cannot be brought back any more." : "That did not work. Try again.", response?.status === 404 ? "" : restored);
  if (document.querySelector("#welcome") && toast.dataset.deleted === restored) return location.assign(`/c/${restored}`);
  dispatchEvent(new Event("conversations:changed"));
});

// The page that a deletion leads to.
if (!toast.hidden) {
  block = toast.dataset.deleted;
  history.replaceState(null, "", location.pathname);
  wait();
}
