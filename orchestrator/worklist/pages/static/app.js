// Comfort for every page; all of it works without. No state of its own but the place in a list.
"use strict";
const care = {
  rows: () => [...document.querySelectorAll("tbody.task")],
  last: null, // the row that had the focus last, by its id
  row() {
    return document.activeElement.closest?.("tbody.task") || document.getElementById(care.last);
  },
  focus(row) {
    const link = row?.querySelector("th.patient a, button, a");
    if (!link) return false;
    link.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    return true;
  },
  notice(text) {
    const place = document.getElementById("notice");
    const box = document.createElement("div");
    box.className = "notice";
    box.textContent = text;
    place.replaceChildren(box);
    return box;
  },
  keep(name, value) { sessionStorage.setItem(`care-${name}`, JSON.stringify(value)); },
  kept(name) {
    const text = sessionStorage.getItem(`care-${name}`);
    sessionStorage.removeItem(`care-${name}`);
    return text === null ? null : JSON.parse(text);
  },
};

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("tbody.task");
  if (row) care.last = row.id;
});

// The age of the data counts on between two words of the server.
setInterval(() => {
  const age = document.getElementById("freshness-age");
  if (!age) return;
  if (age.care !== age.dataset.age) {
    age.care = age.dataset.age;
    age.since = Date.now();
  }
  const seconds = Number(age.care) + Math.round((Date.now() - age.since) / 1000);
  age.textContent = seconds < 60 ? `, ${seconds} s ago` : `, ${Math.floor(seconds / 60)} min ago`;
}, 5000);

// Requests of a row: `Saving` after a second, and the focus is never lost.
const waiting = new WeakMap();
document.addEventListener("htmx:before:request", (event) => {
  const row = event.target.closest?.("tbody.task");
  if (!row) return;
  const next = row.nextElementSibling;
  care.after = next?.classList.contains("task") ? next.id : row.previousElementSibling?.id;
  waiting.set(row, setTimeout(() => {
    const cell = row.querySelector("tr.why td:last-child");
    if (!cell || cell.querySelector(".saving")) return;
    const mark = document.createElement("strong");
    mark.className = "pending saving";
    mark.textContent = " Saving";
    cell.append(mark);
  }, 1000));
});
document.addEventListener("htmx:finally:request", (event) => {
  const row = event.target.closest?.("tbody.task");
  if (row) clearTimeout(waiting.get(row));
  row?.querySelector(".saving")?.remove();
});
document.addEventListener("htmx:after:swap", () => {
  for (const box of document.querySelectorAll("[data-fades]:not([data-fading])")) {
    box.dataset.fading = "";
    setTimeout(() => {
      const held = box.contains(document.activeElement);
      box.querySelector("[data-undo]")?.remove();
      if (held) care.focus(document.getElementById(care.last));
    }, 1000 * Number(box.dataset.fades));
  }
  setTimeout(() => {
    if (document.activeElement !== document.body || !care.last) return;
    care.focus(document.getElementById(care.last)) || care.focus(document.getElementById(care.after));
  });
});
document.addEventListener("htmx:error", (event) => {
  if (event.target.id === "live" || event.detail?.ctx?.response) return;
  care.notice("Could not save: no connection. Nothing was lost; try again.");
});

// A list that is shown anew keeps the selected row selected and where it was on the screen.
document.addEventListener("click", (event) => {
  const show = event.target.closest?.("[data-show]");
  if (show) {
    const row = care.row();
    care.keep("place", {
      task: row?.dataset.task || null,
      top: row ? row.getBoundingClientRect().top : null,
      checked: [...document.querySelectorAll("input[name=item]:checked")].map((one) => one.value.split(":")[0]),
    });
    return;
  }
  const open = event.target.closest?.("tbody.task th.patient a");
  if (open) {
    const row = open.closest("tbody.task");
    care.keep("order", {
      tasks: care.rows().map((one) => one.dataset.task),
      task: row.dataset.task,
      list: location.pathname + location.search,
    });
  }
});
function comeBack() {
  if (!document.querySelector("table.work")) return;
  const by = (task) => care.rows().find((row) => row.dataset.task === task);
  const place = care.kept("place");
  if (place) {
    for (const task of place.checked) {
      const box = by(task)?.querySelector("input[name=item]");
      if (box) box.checked = true;
    }
    const row = place.task && by(place.task);
    if (row && care.focus(row)) window.scrollBy(0, row.getBoundingClientRect().top - place.top);
    return;
  }
  const order = care.kept("order");
  if (!order) return;
  // Back from a task: on it, or on the one after it where it has gone.
  const from = order.tasks.indexOf(order.task);
  const still = by(order.task);
  const next = order.tasks.slice(from + 1).map(by).find(Boolean);
  if (care.kept("done") === order.task) care.focus(next || still);
  else care.focus(still || next);
}

// On a task: the way back is the list one came from.
function lead() {
  const order = sessionStorage.getItem("care-order");
  if (!order || !document.querySelector("[data-back]")) return;
  const list = JSON.parse(order).list;
  for (const one of document.querySelectorAll("[data-back]")) {
    if (one.tagName === "A") one.href = list;
    else one.value = list;
  }
}
document.addEventListener("submit", (event) => {
  const task = event.submitter?.dataset.done;
  if (task) care.keep("done", task);
});

// What is written is kept on the server until it is sent.
function drafts() {
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  let timer = 0;
  let sent = "";
  const send = () => {
    const said = new URLSearchParams(new FormData(form));
    if (said.toString() === sent) return;
    sent = said.toString();
    fetch(form.dataset.draft, { method: "POST", body: said, keepalive: true, headers: { "HX-Request": "true" } }).catch(() => { sent = ""; });
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(send, 1500); });
  // Not again behind what was sent: it would come back as a draft.
  form.addEventListener("submit", () => { clearTimeout(timer); timer = 0; });
  document.addEventListener("visibilitychange", () => { if (document.hidden && timer) { clearTimeout(timer); send(); } });
}

// A task that is over: what could be done with it goes; of its form only what somebody has written
// stays.  All of it comes back with the task.
function over() {
  const form = document.getElementById("report");
  const buttons = document.getElementById("task-buttons");
  if (!form || !buttons) return;
  const closed = "over" in buttons.dataset;
  for (const one of document.querySelectorAll("[data-while-open]")) one.hidden = closed;
  const typed = [...form.elements].some((one) => {
    if (one.matches("[type=radio], [type=checkbox]")) return one.checked && !(one.name === "outcome" && one.value === "ok");
    return one.matches("textarea, select") && one.value.trim() !== "";
  });
  const hides = closed && !typed;
  if (hides && form.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
  form.hidden = hides;
  lead();
}
document.addEventListener("htmx:after:swap", over);

// The session: a warning two minutes before its end, which can be put off.
function session() {
  const place = document.getElementById("session");
  if (!place || !place.dataset.left) return;
  const ask = async () => {
    const answer = await fetch("/session", { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer === null) { setTimeout(ask, 15000); return; }
    if (!answer.ok) { location.reload(); return; }
    const { left_s: left, warn_s: warn } = await answer.json();
    if (left <= 0) { location.reload(); return; }
    if (left > warn) { setTimeout(ask, (left - warn) * 1000 + 500); return; }
    warned(left);
    setTimeout(ask, left * 1000 + 1000);
  };
  setTimeout(ask, Math.max(0, Number(place.dataset.left) - 119) * 1000);
}
function warned(left) {
  if (document.getElementById("stay")) return;
  const box = care.notice(`You will be signed out in ${Math.ceil(left / 60)} min. What you have written is kept. `);
  const stay = document.createElement("button");
  stay.id = "stay";
  stay.className = "small";
  stay.textContent = "Stay signed in";
  stay.addEventListener("click", async () => {
    const csrf = document.querySelector("input[name=csrf]").value;
    const answer = await fetch("/session", { method: "POST", body: new URLSearchParams({ csrf }) });
    if (answer.ok) { box.remove(); document.getElementById("main").focus(); }
  });
  box.append(stay);
}

document.addEventListener("DOMContentLoaded", () => {
  comeBack();
  lead();
  drafts();
  session();
  document.getElementById("problem")?.focus();
});
// A page that comes out of the browser's memory after sign-out shows nothing.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
