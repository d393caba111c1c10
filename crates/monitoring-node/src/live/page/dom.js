// What is changed on the page: only what is another than before.

/// A copy of a template, and its parts by their names.
export function instance(id) {
  const root = document.getElementById(id).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of root.querySelectorAll("[data-part]")) parts[part.dataset.part] = part;
  return { root, parts };
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/// Numbers as people read them; what is not known is not told.
export function number(value, unit, digits = 3) {
  return value === null || value === undefined ? "–" : `${value.toFixed(digits)} ${unit}`.trimEnd();
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  return value < 10 ? `${value.toFixed(1)} s` : value < 600 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`;
}

/// What of a row has the focus: the button that opens it, or the row itself where there is nothing to open.
const handleOf = (row) => row.querySelector("button") ?? row;

/// Arrow keys go through the rows of a container, one of which at a time is reached by Tab.
export function walkRows(container) {
  container.addEventListener("keydown", (event) => {
    const row = event.target.closest(".row");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = visibleRows(container);
    const at = rows.indexOf(row);
    const steps = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: rows.length - 1 };
    if (!(event.key in steps)) return;
    focusRow(rows[Math.min(Math.max(steps[event.key], 0), rows.length - 1)]);
    event.preventDefault();
  });
  container.addEventListener("focusin", (event) => {
    const row = event.target.closest(".row");
    if (row) makeReachable(container, row);
  });
}

export function visibleRows(container) {
  return [...container.querySelectorAll(".row")].filter((row) => row.offsetParent !== null);
}

export function focusRow(row) {
  if (row) handleOf(row).focus();
}

/// Sees to it that Tab reaches a row that is shown: the first, where there is none yet.
export function keepReachable(container) {
  const reached = container.querySelector('.row[tabindex="0"]:not([hidden]), .row:not([hidden]) button[tabindex="0"]');
  if (reached) return;
  const [first] = visibleRows(container);
  if (first) makeReachable(container, first);
}

function makeReachable(container, row) {
  const handle = handleOf(row);
  for (const other of container.querySelectorAll('[tabindex="0"]')) if (other !== handle) other.tabIndex = -1;
  handle.tabIndex = 0;
}

/// Opens or closes a row by its button; a click elsewhere in the row does the same.
export function isOpened(row) {
  const isOpen = row.classList.toggle("is-open");
  handleOf(row).setAttribute("aria-expanded", String(isOpen));
  return isOpen;
}
