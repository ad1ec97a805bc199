// Most that comes of an answer is a few letters more of its last paragraph. They are put there at once: htmx makes two
// documents and a dozen events of any fragment, which costs more than all the rest.

const LETTERS = /^<hx-partial hx-target="(#[\w-]+-tail(?:>:last-child)+)" hx-swap="beforeend">([^<&]+)<\/hx-partial>$/;
addEventListener("htmx:sse:before:message", ({ detail }) => {
  const [, target, letters] = LETTERS.exec(detail.message.data) ?? [];
  const text = target && document.querySelector(target)?.lastChild;
  if (!(text instanceof Text)) return;
  text.appendData(letters);
  detail.cancelled = true;
});
