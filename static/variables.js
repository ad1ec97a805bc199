// A prompt template asks for its variables above the box; what comes of it is a text to read before it is sent.

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const form = document.querySelector("#fill");
const panel = document.querySelector("#variables");
const title = panel.querySelector("p");
const fields = panel.querySelector(".variables-fields");
const refusal = panel.querySelector("[role=alert]");

let template = null;
const leave = () => {
  panel.hidden = true;
  text.focus();
};
const insert = async (variables) => {
  const answer = await fetch(`/api/ai/templates/${encodeURIComponent(template.name)}/render`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ variables }),
  });
  const made = await answer.json();
  if (!answer.ok) throw new Error(made.error?.message ?? "The template cannot be used.");
  const questions = made.messages?.filter((message) => message.role === "user").map((message) => message.text);
  text.setRangeText(made.text ?? questions.join("\n\n"), text.selectionStart, text.selectionEnd, "end");
  text.dispatchEvent(new Event("input", { bubbles: true }));
  leave();
};
const tryToInsert = (variables) => insert(variables).catch((error) => {
  panel.hidden = false;
  refusal.textContent = error.message;
});
const field = (variable) => {
  const label = document.createElement("label");
  const box = document.createElement("textarea");
  Object.assign(box, { name: variable.name, value: variable.default ?? "", required: variable.required, rows: 1, dir: "auto" });
  box.setAttribute("form", "fill");
  label.append(variable.name, box);
  return label;
};
composer.addEventListener("composer:template", ({ detail }) => {
  template = detail;
  title.textContent = template.title || template.name;
  refusal.textContent = "";
  fields.replaceChildren(...template.variables.map(field));
  if (template.variables.length === 0) return tryToInsert({});
  panel.hidden = false;
  panel.querySelector("textarea").focus();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  tryToInsert(Object.fromEntries(new FormData(form)));
});
panel.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229) return;
  if (event.key === "Escape") leave();
  else if (event.key === "Enter" && !event.shiftKey && event.target.matches("textarea")) form.requestSubmit();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
document.querySelector("#variables-cancel").addEventListener("click", leave);
