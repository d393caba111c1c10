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
  return value < 10 ? `${value.toFixed(1)} s` : value < 600 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`;
}

/// Arrow keys go through the rows of a container, Enter opens one; one row at a time is reached by Tab.
export function walkRows(container) {
  container.addEventListener("keydown", (event) => {
    const row = event.target.closest(".row");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = visibleRows(container);
    const at = rows.indexOf(row);
    const steps = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: rows.length - 1 };
    if (event.key in steps) {
      focusRow(rows[Math.min(Math.max(steps[event.key], 0), rows.length - 1)]);
    } else if (event.key === "Enter" || event.key === " ") {
      row.click();
    } else {
      return;
    }
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
  row?.focus();
}

/// Tab reaches one row: the one where the focus was, else the first.
export function makeReachable(container, row = visibleRows(container)[0]) {
  for (const other of container.querySelectorAll('.row[tabindex="0"]')) if (other !== row) other.tabIndex = -1;
  if (row && row.tabIndex !== 0) row.tabIndex = 0;
}

/// Opens or closes a row, by a click or Enter.
export function isOpened(row) {
  const isOpen = row.getAttribute("aria-expanded") !== "true";
  row.setAttribute("aria-expanded", String(isOpen));
  return isOpen;
}
