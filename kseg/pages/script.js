"use strict";
// What kseg's report pages do: sort tables, open pictures large, filter images by class, go through the epochs of a
// run, reload while it goes on. Everything is read from the page's own attributes; nothing is fetched, nothing is
// written but text.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const memory = {  // of this tab; a page opened from a file may be refused one
    read(key) { try { return sessionStorage.getItem(location.pathname + key); } catch { return null; } },
    write(key, value) { try { sessionStorage.setItem(location.pathname + key, value); } catch { /* forgotten */ } },
  };

  // Tables: a button in each head; numbers by `data-value`, text as people sort it; what is not known stays last.
  const numbers = (cell) => cell.dataset.value !== undefined;
  const unknown = (cell) => numbers(cell) ? cell.dataset.value === "" : cell.textContent.trim() === "";
  function sort(table, column, direction) {
    const body = table.tBodies[0], sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((first, second) => {
      const [a, b] = [first.cells[column], second.cells[column]];
      if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
      return sign * (numbers(a) ? a.dataset.value - b.dataset.value
        : a.textContent.trim().localeCompare(b.textContent.trim(), "en", { numeric: true }));
    });
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", direction); else head.removeAttribute("aria-sort");
    });
  }
  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () =>
        sort(table, column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
    });
  }

  // Pictures: the dialog closes by Escape of itself and gives the focus back; arrows go to the neighbours.
  const dialog = one("#zoom"), large = one("img", dialog), caption = one("span", dialog);
  let shown = null;
  function enlarge(button) {
    const picture = one("img", button);
    shown = button;
    large.src = picture.src;
    large.className = picture.className;
    large.alt = caption.textContent = picture.alt;
    if (!dialog.open) dialog.showModal();
  }
  function step(by) {
    const seen = all("button.zoom").filter((button) => button.offsetParent !== null);
    enlarge(seen[(seen.indexOf(shown) + by + seen.length) % seen.length]);
  }
  for (const button of all("button.zoom")) button.addEventListener("click", () => enlarge(button));
  for (const button of all("[data-step]", dialog)) button.addEventListener("click", () => step(Number(button.dataset.step)));
  one("[data-close]", dialog).addEventListener("click", () => dialog.close());
  large.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => shown && shown.focus());
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });

  // Images by class: `data-classes` is "id:IoU …" of the classes in an image's truth or prediction.
  const filter = one("#class-filter");
  function scores(element) {
    return new Map(element.dataset.classes.split(" ").filter(Boolean).map((part) => part.split(":")));
  }
  function choose() {
    const chosen = filter.value, table = one("#images"), head = one("th.class-iou", table);
    for (const element of all("[data-classes]")) {
      const value = scores(element).get(chosen);
      element.hidden = chosen === "" ? "extra" in element.dataset : value === undefined;
      for (const cell of all(".class-iou", element)) {
        cell.hidden = chosen === "";
        cell.dataset.value = value ?? "";
        cell.textContent = value === undefined ? "–" : Number(value).toFixed(4);
      }
    }
    head.hidden = chosen === "";
    one("button", head).textContent = `IoU of ${filter.selectedOptions[0].textContent}`;
    sort(table, chosen === "" ? 1 : head.cellIndex, "ascending");
    const score = (card) => Number(chosen === "" ? card.dataset.score : scores(card).get(chosen) ?? 2);
    const cards = all(".example[data-classes]").sort((first, second) => score(first) - score(second));
    if (cards.length) cards[0].parentNode.append(...cards);
    const count = (selector) => all(selector).filter((element) => !element.hidden).length;
    one("#filtered").textContent =
      `${count("#images tbody tr")} images, ${count(".example[data-classes]")} of them with pictures`;
  }
  if (filter) {
    filter.addEventListener("change", choose);
    if (filter.value !== "") choose();  // a browser may restore the choice
  }

  // Epochs of a run: one prediction of each image is shown at a time.
  const slider = one("#epoch");
  function epoch() {
    const place = slider.value;
    for (const element of all("[data-place]")) element.hidden = element.dataset.place !== place;
    const name = one(`output [data-place="${place}"]`).textContent;
    slider.setAttribute("aria-valuetext", name);
  }
  if (slider) {
    const before = memory.read("epoch"), places = all("output [data-place]");
    const found = places.find((element) => element.dataset.epoch === before);
    slider.value = found ? found.dataset.place : slider.max;
    slider.addEventListener("input", () => {
      epoch();
      const latest = slider.value === slider.max;  // who looks at the latest is shown the next when it is there
      memory.write("epoch", latest ? "" : one(`output [data-place="${slider.value}"]`).dataset.epoch);
    });
    epoch();
  }

  // A run that goes on: reload, unless somebody is looking at a picture; say when nothing has come for long.
  const { reload, written, silent } = document.body.dataset, switched = one("#reload");
  if (reload && switched) {
    switched.checked = memory.read("reload") !== "off";
    switched.addEventListener("change", () => memory.write("reload", switched.checked ? "on" : "off"));
    setInterval(() => {
      if (switched.checked && !dialog.open && !document.hidden) location.reload();
    }, 1000 * reload);
    const late = () => { one("#late").hidden = Date.now() / 1000 - written < silent; };
    late();
    setInterval(late, 10000);
  }
})();
