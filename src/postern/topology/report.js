"use strict";
(() => {
  const form = document.getElementById("filter");
  const search = document.getElementById("search");
  const table = document.getElementById("rows");
  const count = document.getElementById("count");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const selects = Array.from(form.querySelectorAll("select"));
  const text = new Map(rows.map((row) => [row, Array.from(row.cells, (cell) => cell.textContent).join("\n").toLowerCase()]));

  // a number is looked for as a whole, so that 25 finds port 25 and not 2525
  const holds = (content, word) => {
    if (!/^\d+$/.test(word)) return content.includes(word);
    return new RegExp("(^|\\D)" + word + "(\\D|$)").test(content);
  };

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => holds(text.get(row), word)) &&
        selects.every((one) => !one.value || row.cells[Number(one.dataset.column)].textContent === one.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = count.dataset.text.replace("{shown}", shown).replace("{all}", rows.length);
  };

  const sort = (header) => {
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const by = new Intl.Collator(document.documentElement.lang, { numeric: true });
    const sorted = rows.slice().sort((a, b) => by.compare(a.cells[column].textContent, b.cells[column].textContent));
    body.append(...(down ? sorted.reverse() : sorted));
  };

  for (const header of table.tHead.rows[0].cells) header.firstChild.addEventListener("click", () => sort(header));
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  const size = document.getElementById("size");
  if (size) {
    const figure = document.getElementById("picture");
    size.addEventListener("click", () => size.setAttribute("aria-pressed", String(figure.classList.toggle("full"))));
    size.hidden = false;
  }
  form.hidden = false;
  show();
})();
