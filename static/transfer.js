// A file with conversations is sent in parts: it may be far larger than what the server takes at once.

const form = document.querySelector("#import");
const bar = form.querySelector("progress");
const status = form.querySelector("[role=status]");
const remarks = form.querySelector("ul");
const PART_SIZE = 2_500_000; // characters: in UTF-8 up to three times as many bytes
const PART_ITEMS = 200;
const MOST_REMARKS = 20;

const send = async (items) => {
  const body = JSON.stringify({ conversations: items });
  const headers = { "content-type": "application/json" };
  const response = await fetch("/api/ai/conversations/import", { method: "POST", headers, body });
  const answer = await response.json();
  if (response.ok) return answer;
  return { imported: [], skipped: items.map((_, index) => ({ index, why: answer.error.message })) };
};
const remark = (number, why) => {
  if (remarks.childElementCount >= MOST_REMARKS) return;
  const item = document.createElement("li");
  item.textContent = `Number ${number}: ${why}`;
  remarks.append(item);
};
const conversations = (value) => {
  if (Array.isArray(value?.conversations)) return value.conversations;
  return Array.isArray(value) && !(value[0] && "role" in value[0]) ? value : [value];
};
const parts = function* (items) {
  let part = [], filled = 0;
  for (const item of items) {
    const size = JSON.stringify(item).length;
    if (part.length && (filled + size > PART_SIZE || part.length >= PART_ITEMS)) {
      yield part;
      part = [];
      filled = 0;
    }
    part.push(item);
    filled += size;
  }
  if (part.length) yield part;
};
const run = async (file) => {
  const items = conversations(JSON.parse(await file.text()));
  let done = 0, imported = 0;
  for (const part of parts(items)) {
    const answer = await send(part);
    imported += answer.imported.length;
    for (const { index, why } of answer.skipped) remark(done + index + 1, why);
    done += part.length;
    bar.value = done / items.length;
    status.textContent = `${done} of ${items.length}`;
  }
  const skipped = items.length - imported;
  status.textContent = `${imported} imported${skipped ? `, ${skipped} skipped` : ""}.`;
  dispatchEvent(new Event("conversations:changed"));
};
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  status.textContent = "Reading the file…";
  remarks.replaceChildren();
  try {
    await run(form.elements.file.files[0]);
  } catch (error) {
    status.textContent = error instanceof SyntaxError
      ? "This is no JSON file. If it is an archive, unpack it and choose conversations.json."
      : "The server does not answer. What was imported stays; import the file again for the rest.";
  } finally {
    button.disabled = false;
    bar.hidden = true;
  }
});
