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

/* A second click on a button must not send a form twice: the service would do nothing twice, but say so. */
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-download]")) return;  // the page stays, for the next file
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

/* Warn before the session ends. Other tabs may have used it meanwhile: then the button does no harm. */
const warning = document.getElementById("session-warning");
if (warning) {
  let timer;
  const wait = () => { timer = setTimeout(() => { warning.hidden = false; }, Number(warning.dataset.after) * 1000); };
  warning.querySelector("button").addEventListener("click", async () => {
    const response = await fetch(warning.dataset.url, { method: "POST" });
    if (response.ok && !response.redirected) { warning.hidden = true; clearTimeout(timer); wait(); }
    else window.location.reload();
  });
  wait();
}
