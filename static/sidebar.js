// The list of conversations: search, groups by the reader's days, marks for answers that nobody has looked at yet.
// Whoever knows that it has changed tells the list: `stale`.

const list = document.querySelector("#conversations");
const find = document.querySelector("#find");
const { q, archived, limit } = find.elements;
const FIRST = 40;
const rows = () => [...list.querySelectorAll(".conversation")];

// Fetching: what has not changed costs an empty answer.
let etag = "";
let shown = location.search;
limit.disabled = false;
const refresh = (count) => {
  if (list.querySelector("form")) return; // a title is being written
  limit.value = Math.min(200, Math.max(FIRST, count));
  htmx.trigger(list, "refresh");
};
list.addEventListener("stale", () => refresh(rows().length));
list.addEventListener("htmx:config:request", ({ target, detail: { ctx } }) => {
  if (target === list && etag) ctx.request.headers["If-None-Match"] = etag;
});
list.addEventListener("htmx:before:swap", (event) => {
  if (event.target !== list || !list.querySelector("form")) return;
  event.preventDefault(); // it was asked for before the title was written
  etag = "";
});
list.addEventListener("htmx:after:request", ({ target, detail: { ctx } }) => {
  if (target === list && ctx.response?.raw.ok) etag = ctx.response.raw.headers.get("etag") ?? "";
});

let timer;
const search = () => {
  clearTimeout(timer);
  if (shown === (shown = new URLSearchParams(new FormData(find)).toString())) return;
  refresh(0);
};
q.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, 150);
});
archived.addEventListener("change", search);
find.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter?.name === "archived") {
    archived.checked = true;
    q.focus();
  }
  search();
});

// Groups.
const day = (time) => new Date(time).setHours(0, 0, 0, 0);
const group = ({ dataset }) => {
  if ("pinned" in dataset) return "Pinned";
  const days = Math.round((day(Date.now()) - day(dataset.updated)) / 86_400_000);
  if (days <= 1) return days < 1 ? "Today" : "Yesterday";
  if (days <= 30) return days <= 7 ? "Last 7 days" : "Last 30 days";
  const time = new Date(dataset.updated);
  const year = time.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return time.toLocaleDateString("en", { month: "long", year });
};
const regroup = () => {
  const headings = [...list.querySelectorAll(".group")];
  if (!headings.length) return; // what a search finds has none
  let last;
  for (const row of rows()) {
    const name = group(row);
    if (name === last) continue;
    last = name;
    const heading = headings.shift() ?? list.querySelector(".group").cloneNode(true);
    heading.firstElementChild.textContent = name;
    row.before(heading);
  }
  for (const heading of headings) heading.remove();
};

// Unread: changed since this browser has shown it. What was there before the browser came counts as read.
const KEPT = 200;
const recall = () => {
  try {
    return JSON.parse(localStorage.getItem("seen")) ?? {};
  } catch {
    return {};
  }
};
const look = () => {
  const times = rows().map((row) => row.dataset.updated);
  const seen = { since: times.reduce((a, b) => (a > b ? a : b), ""), at: {}, ...recall() };
  const current = list.querySelector("[aria-current]")?.closest(".conversation");
  if (current && document.visibilityState === "visible" && !current.matches(".running")) {
    seen.at[current.dataset.block] = current.dataset.updated;
  }
  const newest = Object.entries(seen.at).sort(([, a], [, b]) => (a < b ? 1 : -1));
  if (newest.length > KEPT) seen.since = newest[KEPT][1] > seen.since ? newest[KEPT][1] : seen.since;
  seen.at = Object.fromEntries(newest.slice(0, KEPT));
  try {
    const text = JSON.stringify(seen);
    if (text !== localStorage.getItem("seen")) localStorage.setItem("seen", text);
  } catch {
    // no storage: nothing is remembered
  }
  for (const row of rows()) {
    if (row.matches(".running")) continue;
    const since = seen.at[row.dataset.block] ?? seen.since;
    const unread = row.dataset.updated > since && !(row === current && document.visibilityState === "visible");
    row.classList.toggle("unread", unread);
    const state = row.querySelector(".state");
    if (!unread) state?.remove();
    else if (!state) row.querySelector(".title > span").insertAdjacentHTML("afterend", '<i class="state"><span class="visually-hidden">, new</span></i>');
  }
  const title = current?.querySelector(".title > span").textContent;
  const heading = document.querySelector("#conversation-title");
  if (title && heading && heading.textContent !== title) {
    heading.textContent = title;
    document.title = title;
  }
};
const dress = () => {
  regroup();
  look();
};
dress();
list.addEventListener("htmx:after:swap", dress);
addEventListener("storage", ({ key }) => { if (key === "seen") look(); });

// Keys: up and down go through the titles.
list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...list.querySelectorAll(".title, .show-more a")];
  const next = links[links.indexOf(event.target) + step];
  if (!step || !links.includes(event.target)) return;
  event.preventDefault();
  (next ?? (step < 0 ? q : event.target)).focus();
});
q.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  list.querySelector(".title")?.focus();
});
