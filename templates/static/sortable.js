// Tables of class "sortable" sort by a column when its head is pressed; numbers by their data-value, else as they stand.
"use strict";
window.sortTables = root => { for (const table of root.querySelectorAll("table.sortable:not([data-sorts])")) {
  table.dataset.sorts = "yes";
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, at) => {
    const cell = row.cells[at];
    if (!cell) return "";
    const given = cell.dataset.value;
    if (given === undefined) {
      const text = cell.textContent.trim(), figure = /^([+−-]?)([\d,]*\.?\d+)/.exec(text);
      if (!cell.classList.contains("num") || !figure) return text;
      return (figure[1] && figure[1] !== "+" ? -1 : 1) * Number(figure[2].replace(/,/g, ""));
    }
    const number = Number(given);
    return given !== "" && !Number.isNaN(number) ? number : given;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;  // empty cells and texts come after numbers
    if (typeof b === "number") return 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  heads.forEach((head, at) => {
    if (head.dataset.fixed !== undefined) return;
    head.classList.add("sorts");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = [...body.rows].some((row) => row.cells[at]?.dataset.value !== undefined || row.cells[at]?.classList.contains("num"));
      const now = head.getAttribute("aria-sort");
      const down = now ? now === "ascending" : numeric;  // the largest figure first
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row, n) => [value(row, at), n, row]);
      const sign = down ? -1 : 1;
      rows.sort((a, b) => sign * compare(a[0], b[0]) || a[1] - b[1]);
      body.append(...rows.map((r) => r[2]));
    });
  });
} };
window.sortTables(document);
