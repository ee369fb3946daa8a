// Keys: each presses a button or follows a link that is on the page; none while somebody types.
"use strict";
{
  let after = ""; // the `g` of `g w`
  const typing = (element) => element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=submit])");
  const move = (step) => {
    const rows = care.rows();
    if (!rows.length) return;
    const at = rows.indexOf(care.row());
    care.focus(rows[Math.min(rows.length - 1, Math.max(0, at + step))]);
  };
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-next]")) move(1); });
  const press = (key) => {
    const row = care.row();
    const own = row?.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const found = own || document.querySelector(`:not(tbody.task *)[data-key="${CSS.escape(key)}"]`);
    if (found) {
      if (found.matches("input:not([type=checkbox]), textarea, select, fieldset")) {
        found.closest("details")?.setAttribute("open", "");
        (found.matches("fieldset") ? found.querySelector("input") : found).focus();
      } else {
        found.click();
        if (found.matches("summary")) found.parentElement.querySelector("select, input:not([type=hidden])")?.focus();
      }
      return true;
    }
    if (row && "tcn".includes(key)) {
      const link = row.querySelector("th.patient a");
      if (!link) return false;
      link.href += { t: "#attempt", c: "#complete", n: "#note" }[key];
      link.click();
      return true;
    }
    return false;
  };
  const close = () => {
    const open = document.activeElement.closest?.("details[open]") || document.querySelector("details.menu[open], details.filters[open]");
    if (open) {
      open.removeAttribute("open");
      open.querySelector("summary").focus();
    } else if (typing(document.activeElement)) {
      care.focus(care.row()) || document.activeElement.blur();
    }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (document.body.dataset.keys !== "on") return;
    if (event.key === "Escape") { close(); return; }
    if (typing(document.activeElement)) return;
    const key = event.key;
    if (after === "g") {
      after = "";
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (key === "g") { after = "g"; setTimeout(() => { after = ""; }, 1500); return; }
    if (key === "j" || key === "k") { event.preventDefault(); move(key === "j" ? 1 : -1); return; }
    if ("artcnxe./f?".includes(key) && key.length === 1 && press(key)) event.preventDefault();
  });
}
