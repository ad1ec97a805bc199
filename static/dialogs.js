// Deleting asks first, in a dialog of the page.

const dialog = document.querySelector("#confirm");
addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  event.preventDefault();
  dialog.querySelector("b").textContent = ctx.confirm;
  dialog.returnValue = "";
  dialog.onclose = () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest());
  dialog.showModal();
});
addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  const isOpen = ctx.request.action === `/api/ai/conversations/${document.querySelector("#preset")?.dataset.block}`;
  if (ctx.request.method === "DELETE" && ctx.response.raw.ok && isOpen) location.assign("/");
});
