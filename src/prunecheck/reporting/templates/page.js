"use strict";
// Comfort only: everything on the page is there without it. Text goes in as text, never as markup.

const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

function make(element, text = "", attributes = {}) {
  const node = document.createElement(element);
  node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// A link into a closed part opens it.
function reveal() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.hash === location.hash) reveal();
});

// Filter the checks, open and close them all.
for (const tools of all("[data-tools]")) {
  const checks = all("details.check");
  const field = make("input", "", { type: "search", placeholder: "Filter: method, check or verdict", "aria-label": "Filter the checks" });
  const shown = make("output", "", { "aria-live": "polite" });
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const check of checks) {
      const text = check.dataset.text.toLowerCase();
      check.hidden = !words.every((word) => text.includes(word));
      n += !check.hidden;
    }
    for (const group of all(".group")) group.hidden = all("details.check", group).every((check) => check.hidden);
    shown.textContent = words.length ? `${n} of ${checks.length}` : "";
  });
  const toggle = make("button", "Open all", { type: "button" });
  toggle.addEventListener("click", () => {
    const open = toggle.textContent === "Open all";
    for (const check of checks) check.open = open && !check.hidden;
    toggle.textContent = open ? "Close all" : "Open all";
  });
  tools.append(field, toggle, shown);
}

// Sort a table by a column: numbers as numbers, the rest as text.
const value = (row, i) => row.cells[i].textContent.trim().replace("−", "-").replaceAll(",", "");
function sort(table, i, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const order = (a, b) => {
    const [x, y] = [value(a, i), value(b, i)];
    const [p, q] = [parseFloat(x), parseFloat(y)];
    const sign = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return down ? -sign : sign;
  };
  const body = table.tBodies[0];
  body.append(...Array.from(body.rows).sort(order));
}
for (const table of all("table[data-sortable]")) {
  all("thead th", table).forEach((head, i) => {
    const button = make("button", head.textContent, { type: "button" });
    button.addEventListener("click", () => sort(table, i, head));
    head.replaceChildren(button);
  });
  if (table.tBodies[0].rows.length < 25) continue;
  const field = make("input", "", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows" });
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  table.parentElement.prepend(field);
}

// Values on hovering.
const tip = make("div", "", { class: "tip", hidden: "", "aria-hidden": "true" });
document.body.append(tip);
document.addEventListener("pointerover", (event) => {
  const source = event.target.closest("[data-tip]");
  tip.hidden = !source;
  if (!source) return;
  tip.textContent = source.dataset.tip;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const above = event.clientY - tip.offsetHeight - 12;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above > 0 ? above : event.clientY + 18}px`;
});

// Paper cannot be clicked: print everything, then put it back.
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of closed) part.open = false;
});
reveal();
