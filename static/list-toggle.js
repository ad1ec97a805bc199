// The list at the side: put away and shown again where the window is wide (`theme.js` remembers it before anything is
// painted), a drawer where it is not. `list:toggle` asks for it from elsewhere.

const root = document.documentElement;
const sidebar = document.querySelector("#sidebar");
const [hide, show] = ["#hide-list", "#show-list"].map((id) => document.querySelector(id));
const isWide = matchMedia("(width >= 52rem)");
const toggle = () => {
  if (!isWide.matches) return sidebar.togglePopover();
  const hadFocus = sidebar.contains(document.activeElement) || document.activeElement === show;
  const isOff = root.dataset.list !== "off";
  if (isOff) root.dataset.list = "off";
  else delete root.dataset.list;
  if (hadFocus) (isOff ? show : hide).focus();
  try {
    if (isOff) localStorage.setItem("list", "off");
    else localStorage.removeItem("list");
  } catch {
    // no storage: for this page
  }
};
hide.addEventListener("click", toggle);
show.addEventListener("click", toggle);
addEventListener("list:toggle", toggle);
