// A word at the edge of the page: that something is deleted or archived, with the way back (`undo`: a request), or that
// something did not work.

const toast = document.querySelector("#toast");
const undo = toast.querySelector("[name=restore]");
const drawer = document.querySelector("#sidebar");
const SECONDS = 8;
let timer;
let back;
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
const show = (text, request) => {
  back = request;
  undo.hidden = !request;
  (drawer.matches(":popover-open") ? drawer : document.body).append(toast); // an open drawer lies above everything
  toast.hidden = false;
  toast.querySelector("p").textContent = text;
  wait();
};
drawer.addEventListener("toggle", () => document.body.append(toast));
addEventListener("toast", ({ detail }) => show(detail.text, detail.undo));
toast.querySelector("[data-dismiss]").addEventListener("click", hide);
toast.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { address, method, body } = back;
  const sent = body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  hide();
  const response = await fetch(address, { method, ...sent }).catch(() => null);
  if (response?.status === 404) return show("It cannot be brought back any more.");
  if (!response?.ok) return show("That did not work. Try again.", { address, method, body });
  if (document.querySelector("#welcome") && address === left) return location.assign(`/c/${toast.dataset.deleted}`);
  dispatchEvent(new Event("conversations:changed"));
});

// The page that a deletion leads to.
const left = `/api/ai/conversations/${encodeURIComponent(toast.dataset.deleted)}/restore`;
if (!toast.hidden) {
  back = { address: left, method: "POST" };
  history.replaceState(null, "", location.pathname);
  wait();
}
