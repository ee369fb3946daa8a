// The live stream of a page: what is said while it is away, and that it comes back.
"use strict";
{
  const paused = () => {
    const place = document.getElementById("freshness-live");
    if (!place || place.firstChild) return;
    const tag = document.createElement("span");
    tag.className = "tag amber";
    tag.setAttribute("role", "status");
    tag.textContent = "● Live updates paused. Reconnecting";
    const again = document.createElement("a");
    again.href = "";
    again.role = "button";
    again.className = "small";
    again.dataset.show = "";
    again.textContent = "Refresh";
    place.append(tag, " ", again);
  };
  const back = () => document.getElementById("freshness-live")?.replaceChildren();
  const begin = () => {
    // The first connection is not tried again by the extension: a new element is.
    const old = document.getElementById("live");
    if (!old) return;
    const fresh = old.cloneNode(false);
    fresh.removeAttribute("data-htmx-powered");
    old.replaceWith(fresh);
    htmx.process(fresh);
  };
  document.addEventListener("htmx:sse:error", paused);
  document.addEventListener("htmx:sse:before:connection", (event) => { if (event.detail.connection.attempt > 1) paused(); });
  document.addEventListener("htmx:sse:after:connection", back);
  document.addEventListener("htmx:sse:close", (event) => {
    if (event.detail.reason === "removed") return;
    paused();
    setTimeout(begin, 5000);
  });
  const failed = (event) => {
    if (event.target.id !== "live") return;
    paused();
    setTimeout(begin, 5000);
  };
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:response:error", failed);
}
