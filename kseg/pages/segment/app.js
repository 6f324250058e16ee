// The page that segments images, whatever runs the model.
//
// What runs it is an engine, a module `engine_NAME.js` beside this one; NAME is the entry "engine" of `model.json`:
// "litert" (the .tflite file in this browser) or "server" (a kseg server on which the page lies). It exports
//
//   async function open(manifest, report) -> engine
//     manifest: what `model.json` holds (below). report(text): says in the status line what is being waited for.
//     Throws an Error whose message is a sentence for the person at the page.
//   engine.runsOn: str, shown beside the milliseconds: "WebAssembly", "WebGPU", "server" …
//   await engine.segment(blob) -> result; blob: an image file, as it was chosen. Throws as `open` does.
//     result.height, result.width: of the image shown upright (EXIF), and of all arrays below
//     result.labels: Uint8Array [height * width], class ids, row by row; an id that is no class is drawn as ignored
//     result.confidence: Uint8Array [height * width], probability of that label times 255; null where not known
//     result.masks: of task "multilabel" only, Uint8Array [classes * height * width], 1 where a pixel has the class,
//       one class after the other. `labels` then holds the most probable of the classes a pixel has, and the ignored
//       id where it has none.
//     result.milliseconds: of preparing, running and deciding, without loading the page
//
// `model.json`, which `kseg.pages.segment_page.manifest` writes:
//   format: 1, kseg_version, engine, title, about (a sentence), task: "multiclass" | "binary" | "multilabel",
//   classes: [{name, color: [red, green, blue]}], their place is the id; ignore: {id, color},
//   threshold: number, list with one per class, or null,
//   input: {channels, image_size: [height, width] or null}, examples: [{file, name}], and an entry named after the
//   engine with what it alone needs.

import {openCamera} from "./camera.js";
import {indexedPng} from "./png.js";
import {Viewer} from "./viewer.js";

const byId = (name) => document.getElementById(name);
const status = (text) => { byId("status").textContent = text; };
const problem = (text) => {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
};

async function start() {
  // Files dropped while the model loads would be opened in place of the page.
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  const answer = await fetch("model.json");
  if (!answer.ok) throw new Error(`The file model.json of this page could not be fetched (status ${answer.status}).`);
  const manifest = await answer.json();
  document.title = byId("title").textContent = manifest.title;
  byId("about").textContent = manifest.about;
  const {open} = await import(`./engine_${manifest.engine}.js`);
  const page = new Page(manifest, await open(manifest, status));
  page.connect();
  status("Ready: choose an image.");
}

class Page {
  constructor(manifest, engine) {
    this.manifest = manifest;
    this.engine = engine;
    this.viewer = new Viewer(manifest);
    this.waiting = null;  // {blob, name} that comes next: of several chosen while one runs, the last
    this.name = "image";
  }

  connect() {
    byId("file").disabled = byId("camera").disabled = false;
    byId("file").addEventListener("change", ({target}) => {
      this.take(target.files[0]);
      target.value = "";  // the same file may be chosen again
    });
    byId("camera").addEventListener("click", () => (this.camera ? this.stopCamera() : this.startCamera()));
    byId("save-mask").addEventListener("click", () => this.saveMask());
    byId("save-overlay").addEventListener("click", () => this.saveOverlay());
    for (const kind of ["dragover", "drop", "dragleave"]) {
      document.addEventListener(kind, (event) => {
        byId("drop").classList.toggle("over", kind === "dragover");
        if (kind === "drop") this.take(event.dataTransfer.files[0]);
      });
    }
    document.addEventListener("paste", ({clipboardData}) => this.take(clipboardData.files[0]));
    byId("examples").append(...this.manifest.examples.map(({file, name}) => this.example(file, name)));
  }

  example(file, name) {
    const button = document.createElement("button"), picture = document.createElement("img");
    button.type = "button";
    picture.src = file;
    picture.alt = `Example ${name}`;
    button.append(picture);
    button.addEventListener("click", async () => {
      const answer = await fetch(file).catch(() => null);
      if (answer?.ok) this.take(await answer.blob(), name);
      else problem(`The example ${name} could not be fetched.`);
    });
    return button;
  }

  /** Segment an image file that was chosen, after the one that runs. */
  take(blob, name = blob?.name ?? "image") {
    if (!blob) return;
    this.stopCamera();
    this.segment(blob, name);
  }

  async segment(blob, name) {
    if (this.running) {
      this.waiting = {blob, name};
      return;
    }
    this.running = true;
    if (!this.camera) {
      problem("");
      status(`Segmenting ${name} …`);
    }
    try {
      const result = await this.engine.segment(blob);
      this.show(await createImageBitmap(blob), result, name);
      problem("");
    } catch (failure) {
      status("");
      problem(`${name}: ${failure.message}`);
    } finally {
      this.running = false;
    }
    const next = this.waiting;
    this.waiting = null;
    if (next) await this.segment(next.blob, next.name);
  }

  show(bitmap, result, name) {
    const {height, width, milliseconds} = result;
    byId("result").hidden = false;
    const shares = this.viewer.show(bitmap, result);
    bitmap.close();
    this.name = name.replace(/\.[^.]*$/, "");
    const time = `${Math.round(milliseconds)} ms`;
    byId("facts").textContent = `${width} × ${height} pixels, ${time}, ${this.engine.runsOn}`;
    const most = shares.slice(0, 3).map((one) => `${one.name} ${Math.round(100 * one.share)} %`).join(", ");
    if (!this.camera) status(`Segmented ${name} in ${time}: ${most || "no class"}.`);
  }

  async startCamera() {
    byId("camera").disabled = true;
    try {
      this.camera = await openCamera();
      problem("");
      status("The camera is on.");
    } catch (failure) {
      problem(failure.message);
    }
    byId("camera").disabled = false;
    this.showCamera();
    const camera = this.camera;  // one loop per camera: stopped and started again, it is another
    while (camera && camera === this.camera) {
      const blob = this.running ? null : await camera.next();
      if (blob && camera === this.camera) await this.segment(blob, "camera");
      await new Promise(requestAnimationFrame);  // not while the page is out of sight
    }
  }

  stopCamera() {
    if (!this.camera) return;
    this.camera.stop();
    this.camera = null;
    this.showCamera();
    status("The camera is off.");
  }

  showCamera() {
    byId("camera").setAttribute("aria-pressed", String(Boolean(this.camera)));
    byId("camera").textContent = this.camera ? "Stop the camera" : "Use the camera";
  }

  /** Save the class ids, an indexed PNG; of a multi-label model one of 0 and 1 per class that is shown. */
  async saveMask() {
    const {viewer: {result: {height, width, labels, masks}, palette, hidden, shares}, manifest: {classes}} = this;
    if (!masks) {
      save(await indexedPng(labels, height, width, palette), `${this.name}_mask.png`);
      return;
    }
    for (const {id, name} of shares.filter((one) => !hidden.has(one.id))) {
      const colors = new Uint8Array(256 * 3);
      colors.set(classes[id].color, 3);
      const plane = masks.subarray(id * labels.length, (id + 1) * labels.length);
      save(await indexedPng(plane, height, width, colors), `${this.name}_${name.replaceAll("/", "-")}.png`);
    }
  }

  saveOverlay() {
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
    canvas.width = byId("image").width;
    canvas.height = byId("image").height;
    context.drawImage(byId("image"), 0, 0);
    context.globalAlpha = byId("opacity").value / 100;
    context.drawImage(byId("overlay"), 0, 0);
    canvas.toBlob((blob) => save(blob, `${this.name}_overlay.png`));
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

start().catch((failure) => {
  status("");
  problem(failure.message);
});
