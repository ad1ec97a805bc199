// Attachments: files that are chosen, pasted or dropped go to the server at once, and the message names them.
// The checkbox of each item of the list carries the file's address; `composer:fill` brings other items.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const list = document.querySelector("#attachments");
const note = document.querySelector("#attachments-note");
const preset = document.querySelector("#preset");
const upload = document.querySelector("#upload");
const template = document.querySelector("#attachment");
const limits = Object.fromEntries(Object.entries(list.dataset).map(([name, value]) => [name, Number(value)]));

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MAX_PIXELS = 4e6; // more than models look at
const MAX_BYTES = 4e6;
const LONG_PASTE = 20_000; // characters
const LONG_NAME = "pasted-text";

const files = new WeakMap(); // of items that are not on the server yet
const requests = new WeakMap();
let warning = "";

const showSize = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);
const kindOf = (type) => (type.startsWith("image/") ? "images" : type === "application/pdf" ? "PDFs" : "sounds");

const unfitting = () => {
  const { takes } = preset.selectedOptions[0].dataset;
  const types = [...list.querySelectorAll("input")].map((input) => input.dataset.type).filter((type) => type && type !== "text/plain");
  const kinds = new Set(takes === undefined ? [] : types.filter((type) => !takes.split(" ").includes(type)).map(kindOf));
  if (kinds.size === 0) return "";
  return `${preset.selectedOptions[0].firstChild.textContent.trim()} takes no ${[...kinds].join(" and no ")}. Remove the file or choose another preset.`;
};
const changed = () => {
  text.required = list.querySelector("input:checked") === null;
  note.textContent = warning || unfitting();
  composer.dispatchEvent(new Event("composer:changed"));
};
const warn = (sentence) => {
  warning = sentence;
  changed();
};

const label = (item, name) => {
  item.querySelector("b").textContent = name;
  item.querySelector("[data-remove]").ariaLabel = `Remove ${name}`;
};
const say = (item, sentence) => { item.querySelector(".attachment-state").textContent = sentence; };
const show = (item, { url, name, type, size }) => {
  const box = item.querySelector("input");
  Object.assign(box, { value: url, checked: true });
  Object.assign(box.dataset, { name, type, ...(size && { size }) });
  label(item, name);
  say(item, size ? showSize(Number(size)) : "");
  if (IMAGES.includes(type)) {
    const picture = Object.assign(new Image(), { src: url.split("?")[0], alt: "" });
    picture.onerror = () => fail(item, "Not on the server any more");
    item.querySelector(".attachment-picture").replaceChildren(picture);
  }
  item.querySelector("[data-unfold]").hidden = !(type === "text/plain" && name.startsWith(LONG_NAME));
};
const fail = (item, sentence, canRetry = false) => {
  item.dataset.failed = "";
  item.querySelector("input").checked = false;
  item.querySelector("[data-retry]").hidden = !canRetry;
  say(item, sentence);
  changed();
};

// A picture of more pixels than models look at is made smaller, one of a format that they do not know is converted.
const reduce = async (file) => {
  if (!file.type.startsWith("image/") || file.type === "image/svg+xml") return file;
  const picture = await createImageBitmap(file).catch(() => null); // turned upright, as its EXIF data says
  if (!picture) return file; // the server says what it is
  const { width, height } = picture;
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)));
  const isMoving = file.type === "image/gif" && file.size <= limits.maxImageBytes;
  if (isMoving || (scale === 1 && file.size <= MAX_BYTES && IMAGES.includes(file.type))) return file;
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = canvas.getContext("2d");
  const draw = () => context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  draw();
  let content = await canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
  if (content.type !== "image/webp") { // Safari writes none
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    draw();
    content = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  }
  return new File([content], `${file.name.replace(/\.\w+$/, "")}.${content.type.slice("image/".length)}`, { type: content.type });
};
const tooBig = ({ type, size }) => {
  const [what, limit] = type.startsWith("image/") ? ["An image", limits.maxImageBytes]
    : /^text\//.test(type) ? ["A text file", limits.maxTextBytes] : ["A file", limits.maxFileBytes];
  return size > limit ? `Too big: ${what.toLowerCase()} may have at most ${showSize(limit).replace(".0", "")}.` : "";
};
const post = (item, file) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest(); // which, unlike fetch, says how far it is
  requests.set(item, request);
  request.open("POST", `/api/ai/files?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("content-type", "application/octet-stream");
  request.setRequestHeader("accept", "application/json");
  request.responseType = "json";
  request.upload.onprogress = ({ loaded, total }) => say(item, `${Math.round((100 * loaded) / total)} %`);
  const refuse = (sentence, canRetry) => reject(Object.assign(new Error(sentence), { canRetry }));
  request.onload = () => (request.status === 201 ? resolve(request.response)
    : refuse(request.response?.error?.message ?? "The server did not take it.", request.status >= 500));
  request.onerror = () => refuse("The server does not answer.", true);
  request.send(file);
});
const send = async (item, file) => {
  item.ariaBusy = "true";
  delete item.dataset.failed;
  item.querySelector("[data-retry]").hidden = true;
  files.set(item, file);
  try {
    const reduced = await reduce(file);
    const problem = tooBig(reduced);
    if (problem) throw new Error(problem);
    const { url, filename = "file", mediaType, size } = await post(item, reduced);
    files.delete(item);
    show(item, { url: `${url}?name=${encodeURIComponent(filename)}`, name: filename, type: mediaType, size });
  } catch (error) {
    fail(item, error.message, error.canRetry);
  }
  item.ariaBusy = null;
  changed();
  if (isWaiting && !list.querySelector("[aria-busy]")) composer.requestSubmit();
};
const newItem = (name) => {
  const item = template.content.firstElementChild.cloneNode(true);
  label(item, name);
  return item;
};
const add = (added) => {
  warning = "";
  for (const file of added) {
    if (list.children.length >= limits.maxFiles) {
      warn(`At most ${limits.maxFiles} files fit in one message.`);
      break;
    }
    const item = newItem(file.name);
    list.append(item);
    say(item, "…");
    send(item, file);
  }
  changed();
};
const attachText = (value) => {
  const count = list.querySelectorAll(`[data-name^=${LONG_NAME}]`).length;
  add([new File([value], `${LONG_NAME}${count ? `-${count + 1}` : ""}.txt`, { type: "text/plain" })]);
  warn("The long text was attached as a file.");
};
const unfold = async (item) => {
  const content = await (await fetch(item.querySelector("input").value)).text();
  text.setRangeText(content, text.selectionStart, text.selectionEnd, "end");
  remove(item);
  text.dispatchEvent(new Event("input", { bubbles: true }));
};
const remove = (item) => {
  requests.get(item)?.abort();
  item.remove();
  warning = "";
  changed();
  text.focus();
};

// A message waits for its files. One that was refused is not left out in silence.
let isWaiting = false;
addEventListener("submit", (event) => {
  if (event.target !== composer || event.submitter?.name) return;
  isWaiting = list.querySelector("[aria-busy]") !== null;
  const hasFailed = list.querySelector("[data-failed]") !== null;
  if (isWaiting) warn("The message is sent as soon as its files have arrived.");
  else if (hasFailed) warn("A file could not be attached. Remove it to send the message without it.");
  else warning = "";
  if (!isWaiting && !hasFailed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.querySelector("#attach").addEventListener("click", () => upload.click());
upload.removeAttribute("name"); // what is chosen is on the server when the form is sent
upload.addEventListener("change", () => {
  add(upload.files);
  upload.value = "";
  text.focus(); // what is typed next is the message
});
list.addEventListener("click", ({ target }) => {
  const item = target.closest("li");
  if (target.closest("[data-remove]")) remove(item);
  else if (target.closest("[data-retry]")) send(item, files.get(item));
  else if (target.closest("[data-unfold]")) unfold(item);
});
preset.addEventListener("change", changed);
composer.addEventListener("composer:fill", ({ detail }) => {
  warning = "";
  list.replaceChildren(...detail.files.map((file) => {
    const item = newItem(file.name);
    show(item, file);
    return item;
  }));
  changed();
});

addEventListener("paste", (event) => {
  if (event.target !== text && event.target.closest("input, textarea, dialog")) return;
  const plain = event.clipboardData.getData("text/plain"); // spreadsheets bring a picture of the cells as well
  const isLong = event.target === text && plain.length > LONG_PASTE;
  if (isLong) attachText(plain);
  else if (!plain && event.clipboardData.files.length) add(event.clipboardData.files);
  else return;
  event.preventDefault();
});
const bringsFiles = (event) => event.dataTransfer?.types.includes("Files") && !event.target.closest?.("dialog");
addEventListener("dragover", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  composer.dataset.drop = "";
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) delete composer.dataset.drop; });
addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  delete composer.dataset.drop;
  add(event.dataTransfer.files);
  text.focus();
});
if (list.children.length) changed();
