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

import {Viewer} from "./viewer.js";
import {openCamera} from "./camera.js";

const byId = (name) => document.getElementById(name);

const status = (text) => { byId("status").textContent = text; };
const problem = (text) => {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
  if (text) status("");
};

async function start() {
  status("Loading the model …");
  const answer = await fetch("model.json");
  if (!answer.ok) throw new Error(`The file model.json of this page is missing (status ${answer.status}).`);
  const manifest = await answer.json();
  document.title = byId("title").textContent = manifest.title;
  byId("about").textContent = manifest.about;
  const {open} = await import(`./engine_${manifest.engine}.js`);
  const engine = await open(manifest, status);
  connect(engine, new Viewer(manifest), manifest);
  status("Ready. Choose an image.");
}

function connect(engine, viewer, manifest) {
  void engine, viewer, manifest, openCamera;
}

start().catch((failure) => problem(failure.message));
