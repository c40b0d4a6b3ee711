"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // plotly.js is deflated on the page.
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  };

  // Plots follow the colour scheme of the page; those in a folded section are drawn when it opens. On paper all are
  // light and shrink to its width.
  const figures = read("figures"), templates = read("templates");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { responsive: true, displayModeBar: false };
  const draw = (mode) => {
    for (const [id, figure] of Object.entries(figures)) {
      const place = document.getElementById(id);
      if (place.closest("details:not([open])")) continue;
      Plotly.react(place, figure.data, { ...figure.layout, template: templates[mode] }, config);
    }
  };
  const follow = () => draw(dark.matches ? "dark" : "light");
  const folds = [...document.querySelectorAll("details")];
  const openTarget = () => {
    const fold = document.getElementById(location.hash.slice(1))?.querySelector("details");
    if (fold) fold.open = true;
  };
  openTarget();
  addEventListener("hashchange", openTarget);
  const start = () => {
    follow();
    dark.addEventListener("change", follow);
    for (const fold of folds) fold.addEventListener("toggle", () => fold.open && follow());
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = folds.filter((fold) => !fold.open);
      for (const fold of opened) fold.open = true;
      draw("light");
      for (const svg of document.querySelectorAll(".main-svg")) {
        svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
      }
    });
    addEventListener("afterprint", () => {
      for (const svg of document.querySelectorAll(".main-svg")) svg.removeAttribute("viewBox");
      for (const fold of opened) fold.open = false;
      follow();
    });
  };
  if (Object.keys(figures).length) unpack(document.getElementById("plotly").textContent).then(start);

  // The ranking: sort by a header, filter by text, show the first rows or all.
  const table = document.getElementById("candidates");
  if (!table) return;
  const body = table.tBodies[0], headers = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search"), all = document.getElementById("all");
  const shown = document.getElementById("shown");
  const total = Number(table.dataset.total);
  let limit = Number(table.dataset.visible);
  let rows = [...body.rows];
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    let matches = 0;
    for (const row of rows) {
      const match = words.get(row).includes(wanted);
      matches += match;
      row.hidden = !match || matches > limit;
    }
    const visible = Math.min(matches, limit).toLocaleString("en");
    const of = wanted ? `${matches.toLocaleString("en")} matches in ` : "";
    shown.textContent = `${visible} of ${of}${total.toLocaleString("en")} candidates`;
  };

  const sort = (column) => {
    const header = headers[column];
    const numeric = header.classList.contains("number");
    const current = header.getAttribute("aria-sort");
    const first = numeric && column > 0 ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = current === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const cell = row.cells[column];
      if (!numeric) return cell.textContent;
      return cell.dataset.sort === "" ? NaN : Number(cell.dataset.sort);
    };
    const keys = new Map(rows.map((row) => [row, key(row)]));
    const compare = (a, b) => {
      if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
      return sign * (a - b);
    };
    rows.sort((a, b) => compare(keys.get(a), keys.get(b)));
    headers.forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", order);
    body.append(...rows);
    show();
  };

  headers.forEach((header, column) => header.addEventListener("click", () => sort(column)));
  search.addEventListener("input", show);
  all?.addEventListener("click", () => {
    limit = Infinity;
    all.hidden = true;
    show();
  });
})();
