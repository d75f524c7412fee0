/* What the pages do beyond HTML. Every page works without this file. */
"use strict";

/* Seats are not refreshed in hidden tabs, and after a failure less often: each of them waits four times as long. */
let pausedUntil = 0;
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches("[data-refresh]") && (document.hidden || Date.now() < pausedUntil)) event.preventDefault();
});
for (const failure of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(failure, () => { pausedUntil = Date.now() + 60_000; });
}

/* A part is replaced only if something has changed in it, and never while the focus is in it. `changed` are the courses
   that have become full or free: what the student can do about them is asked anew, until it could be shown. */
const changed = new Set();
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail, fresh = fragment.firstElementChild;
  const [part, id] = target.id.split("-");
  const standing = document.getElementById(`standing-${id}`);
  if (part === "standing" && !target.contains(document.activeElement)) changed.delete(id);
  if (target.contains(document.activeElement) || target.isEqualNode(fresh)) event.preventDefault();
  else if (part === "seats" && standing && (target.dataset.state !== fresh.dataset.state || "waits" in standing.dataset)) changed.add(id);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { standing } = event.target.dataset, { requestConfig, successful } = event.detail;
  if (!standing || !successful || !changed.size || requestConfig.path.startsWith(standing)) return;
  htmx.ajax("GET", `${standing}?ids=${[...changed].join("-")}`, { source: event.target, swap: "none" });
});

/* A second click on a button must not send a form twice: the service would do nothing twice, but say so. */
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-download]")) return;  // the page stays, for the next file
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

/* Warn before the session ends, and say when it has. Other tabs may have used it meanwhile: then it begins anew. */
const warning = document.getElementById("session-warning"), ended = document.getElementById("session-ended");
if (warning) {
  const { after, endsAfter, url } = warning.dataset, button = warning.querySelector("button");
  let timer, before;
  const lasts = async (options) => { const response = await fetch(url, options); return response.ok && !response.redirected; };
  const wait = () => { clearTimeout(timer); warning.hidden = true; timer = setTimeout(warn, after * 1000); };
  const warn = () => {
    before = document.activeElement;
    warning.hidden = false;
    button.focus();
    timer = setTimeout(end, endsAfter * 1000);
  };
  const end = async () => {
    // With this header, the question is no use of the session.
    if (await lasts({ headers: { "HX-Request": "true" } }).catch(() => false)) { wait(); return; }
    warning.hidden = true;
    ended.hidden = false;
    ended.querySelector("a").focus();
  };
  button.addEventListener("click", async () => {
    if (await lasts({ method: "POST" }).catch(() => false)) { wait(); before?.focus(); } else end();
  });
  wait();
}
