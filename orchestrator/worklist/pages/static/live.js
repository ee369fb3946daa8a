// The live stream of a page: what is said while it is away, and that it comes back.
"use strict";
{
  const paused = () => {
    const place = document.getElementById("freshness-live");
    if (!place || place.firstChild) return;
    const tag = document.createElement("span");
    tag.className = "tag amber";
    tag.textContent = "● Live updates paused. Reconnecting";
    const again = document.createElement("a");
    again.href = "";
    again.role = "button";
    again.className = "small";
    again.dataset.show = "";
    again.textContent = "Refresh";
    const both = document.createElement("span");
    both.id = "freshness-paused";
    both.append(tag, " ", again);
    place.append(both);
    // What was current when the last word came is not known to be so any more.
    const state = document.getElementById("freshness-state");
    if (state?.textContent !== "Current") return;
    state.textContent = "Was current";
    state.parentElement.className = "tag grey";
    state.previousElementSibling.textContent = "◌";
  };
  const back = () => document.getElementById("freshness-paused")?.remove();
  const begin = () => {
    // The first connection is not tried again by the extension: a new element is.
    const old = document.getElementById("live");
    if (!old) return;
    const fresh = old.cloneNode(false);
    fresh.removeAttribute("data-htmx-powered");
    old.replaceWith(fresh);
    htmx.process(fresh);
  };
  // A page that nobody looks at, as one opened in another tab, asks when somebody does.
  const whenSeen = () => {
    if (document.hidden) return;
    document.removeEventListener("visibilitychange", whenSeen);
    begin();
  };
  document.addEventListener("htmx:before:request", (event) => {
    if (event.target.id !== "live" || !document.hidden) return;
    event.preventDefault();
    document.addEventListener("visibilitychange", whenSeen);
  });
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
