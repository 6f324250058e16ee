// What is seen of a result: the image with its labels painted over it, the legend, and the pixel pointed at.

const byId = (name) => document.getElementById(name);
const percent = (share) => {
  const digits = share > 0 && share < 0.001 ? "< 0.1" : (100 * share).toFixed(1);
  return `${digits} %`;
};

export class Viewer {
  constructor({classes, ignore, task}) {
    this.classes = classes;
    this.ignore = ignore;
    this.several = task === "multilabel";
    // The background of a binary model covers what is looked at; it can be shown like any other class.
    this.hidden = new Set(task === "binary" ? [0] : []);
    this.palette = new Uint8Array(256 * 3);
    for (let id = 0; id < 256; id++) this.palette.set(classes[id]?.color ?? ignore.color, 3 * id);
    this.result = null;
    this.connect();
  }

  /** Show an image, an ImageBitmap, with its result; return the classes in it as [{id, name, share}], most first. */
  show(bitmap, result) {
    const {height, width} = result;
    const same = this.result?.height === height && this.result.width === width;  // as frames of the camera are
    this.result = result;
    for (const canvas of [byId("image"), byId("overlay")]) {
      canvas.width = width;
      canvas.height = height;
    }
    byId("stage").style.aspectRatio = `${width} / ${height}`;
    byId("stage").style.setProperty("--ratio", width / height);
    byId("image").getContext("2d").drawImage(bitmap, 0, 0, width, height);
    if (!same || !this.cross) {
      this.cross = null;
      byId("cross").hidden = true;
      byId("reading").textContent = "Point at the image to read a pixel.";
    } else {
      this.read(...this.cross);
    }
    this.shares = this.counted();
    this.list();
    this.paint();
    return this.shares;
  }

  /** Return the classes in the result and the share of pixels that have them. */
  counted() {
    const {labels, masks} = this.result, counts = new Float64Array(256);
    if (this.several) {
      this.classes.forEach((_, id) => {
        for (let at = id * labels.length; at < (id + 1) * labels.length; at++) counts[id] += masks[at];
      });
    } else {
      for (let at = 0; at < labels.length; at++) counts[labels[at]]++;
    }
    return this.classes.map(({name}, id) => ({id, name, share: counts[id] / labels.length}))
      .filter(({share}) => share > 0).sort((one, other) => other.share - one.share);
  }

  paint() {
    const {height, width, labels} = this.result, context = byId("overlay").getContext("2d");
    const picture = context.createImageData(width, height);
    const colors = new Uint32Array(picture.data.buffer), of = this.colors();
    if (this.several) this.mix(colors, of);
    else for (let at = 0; at < labels.length; at++) colors[at] = of[labels[at]];
    context.putImageData(picture, 0, 0);
  }

  /** Return the colour of each id as a number of 32 bits, as image data stores it; 0, clear, where it is not shown. */
  colors() {
    const bytes = new Uint8Array(256 * 4);
    for (let id = 0; id < 256; id++) {
      const shown = id < this.classes.length && !this.hidden.has(id);
      if (shown) bytes.set([...this.palette.subarray(3 * id, 3 * id + 3), 255], 4 * id);
    }
    return new Uint32Array(bytes.buffer);
  }

  /** Paint the pixels of several classes in the mean colour of those that are shown. */
  mix(colors, of) {
    const {masks} = this.result, count = colors.length, bytes = new Uint8Array(colors.buffer);
    const planes = this.classes.map((_, id) => id).filter((id) => of[id]);
    for (let at = 0; at < count; at++) {
      const present = planes.filter((id) => masks[id * count + at]);
      for (let band = 0; present.length && band < 4; band++) {
        const sum = present.reduce((total, id) => total + (band < 3 ? this.palette[3 * id + band] : 255), 0);
        bytes[4 * at + band] = Math.round(sum / present.length);
      }
    }
  }

  list() {
    const rows = [...byId("legend").rows];
    if (rows.length === this.shares.length && this.shares.every(({id}, at) => rows[at].dataset.row === String(id))) {
      this.shares.forEach(({id, share}, at) => {  // a row that is being clicked stays, while the camera runs
        rows[at].cells[1].textContent = percent(share);
        rows[at].querySelector("input").checked = !this.hidden.has(id);
      });
      return;
    }
    const focused = document.activeElement?.dataset?.id;
    byId("legend").replaceChildren(...this.shares.map(({id, name, share}) => {
      const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
      const label = document.createElement("label"), box = document.createElement("input");
      const swatch = document.createElement("span");
      row.dataset.row = id;
      box.type = "checkbox";
      box.checked = !this.hidden.has(id);
      box.dataset.id = id;
      swatch.className = "swatch";
      swatch.style.background = `rgb(${this.classes[id].color})`;
      label.append(box, swatch, name);
      head.scope = "row";
      head.append(label);
      cell.textContent = percent(share);
      row.append(head, cell);
      return row;
    }));
    if (focused !== undefined) byId("legend").querySelector(`[data-id="${focused}"]`)?.focus();
  }

  connect() {
    const stage = byId("stage");
    byId("legend").addEventListener("change", ({target}) => {
      this.hidden[target.checked ? "delete" : "add"](Number(target.dataset.id));
      this.paint();
    });
    byId("all").addEventListener("click", () => this.toggle(true));
    byId("none").addEventListener("click", () => this.toggle(false));
    byId("opacity").addEventListener("input", ({target}) => { byId("overlay").style.opacity = target.value / 100; });
    byId("overlay").style.opacity = byId("opacity").value / 100;
    stage.addEventListener("pointermove", (event) => this.point(event));
    stage.addEventListener("pointerdown", (event) => this.point(event));
    stage.addEventListener("keydown", (event) => this.move(event));
  }

  toggle(shown) {
    this.hidden = new Set(shown ? [] : this.classes.keys());
    this.list();
    this.paint();
  }

  point({clientX, clientY}) {
    if (!this.result) return;
    const {left, top, width, height} = byId("image").getBoundingClientRect();
    byId("cross").hidden = true;
    this.read(Math.floor((clientX - left) / width * this.result.width),
              Math.floor((clientY - top) / height * this.result.height));
  }

  move(event) {
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!steps || !this.result) return;
    event.preventDefault();
    const {height, width} = this.result, step = Math.max(1, Math.round(Math.max(height, width) / (event.shiftKey ? 10 : 50)));
    const [column, row] = this.cross ?? [width >> 1, height >> 1];
    this.read(column + steps[0] * step, row + steps[1] * step);
    Object.assign(byId("cross").style, {left: `${100 * (this.cross[0] + 0.5) / width}%`,
                                        top: `${100 * (this.cross[1] + 0.5) / height}%`});
    byId("cross").hidden = false;
  }

  /** Say what the pixel at a column and row is. */
  read(column, row) {
    const {height, width, labels, confidence, masks} = this.result;
    column = Math.min(Math.max(column, 0), width - 1);
    row = Math.min(Math.max(row, 0), height - 1);
    this.cross = [column, row];
    const at = row * width + column;
    const names = this.several ? this.classes.filter((_, id) => masks[id * labels.length + at]).map(({name}) => name)
      : [this.classes[labels[at]]?.name ?? "ignored"];
    const sure = confidence ? `, ${percent(confidence[at] / 255)}` : "";
    byId("reading").textContent = `${names.join(" + ") || "no class"}${sure} (column ${column}, row ${row})`;
  }
}
