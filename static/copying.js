// Copying: the text that a button says with `text:copy` comes to the clipboard, with `html` for whoever wants it as it is
// shown. The text may still be on its way.

const plainly = (button, text) => { // without https there is no clipboard
  const field = document.createElement("textarea");
  field.value = text;
  field.style.position = "fixed";
  button.after(field); // an open dialog lets nothing outside of it be selected
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  button.focus({ preventScroll: true });
  if (!isDone) throw new Error("not copied");
};
const write = async (button, text, html) => {
  if (html && window.ClipboardItem) {
    const said = Promise.resolve(text);
    const blob = (type) => (content) => new Blob([content], { type });
    return navigator.clipboard.write([new ClipboardItem({ "text/plain": said.then(blob("text/plain")), "text/html": blob("text/html")(html) })]);
  }
  const said = await text;
  return navigator.clipboard ? navigator.clipboard.writeText(said) : plainly(button, said);
};
addEventListener("text:copy", async ({ target, detail: { text, html } }) => {
  try {
    await write(target, text, html);
  } catch {
    dispatchEvent(new CustomEvent("toast", { detail: { text: "It could not be copied." } }));
    return;
  }
  target.dataset.copied = "";
  setTimeout(() => delete target.dataset.copied, 1500);
  target.dispatchEvent(new Event("text:copied", { bubbles: true }));
});
