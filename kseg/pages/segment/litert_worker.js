// The worker of engine_litert.js: fetches LiteRT.js and the model, and segments images. A classic worker, because
// LiteRT.js loads its parts by importScripts.

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const report = (progress) => self.postMessage({progress});
const arithmetic = import("./pixels.js");
let opened;

self.onmessage = async ({data: {id, open: manifest, segment: blob}}) => {
  try {
    if (manifest) opened = await open(manifest);
    const answer = manifest ? {runsOn: opened.runsOn} : await segment(blob);
    const arrays = [answer.labels, answer.confidence, answer.masks].filter(Boolean).map((array) => array.buffer);
    self.postMessage({id, answer}, arrays);
  } catch (failure) {
    self.postMessage({id, failure: failure.message});
  }
};

/** Return {manifest, run(pixels of the model's size) -> scores, runsOn}. */
async function open(manifest) {
  const {model, runtime} = manifest.litert;
  report(`Loading the model (${megabytes(model.bytes)}) …`);
  const file = await fetched(model.file, model.integrity, "the model");
  report("Loading the runtime, LiteRT.js (about 10 MB the first time) …");
  const graphics = await maySuitGraphics(manifest.litert);
  const litert = await loadRuntime(runtime, hasRelaxedSimd() ? (graphics ? "jspi_" : "") : "compat_");
  report("Preparing the model …");
  try {
    return {manifest, ...await compiled(litert, new Uint8Array(await file.arrayBuffer()), manifest, graphics)};
  } catch (failure) {
    throw new Error(`This browser could not prepare the model (${megabytes(model.bytes)}): it may lack memory, or ` +
                    `LiteRT.js may not know an operator. It says: ${failure.message}`);
  }
}

/** Return a file as a Blob; throw a sentence where it is missing, or is not the one that was meant. */
async function fetched(address, integrity, name) {
  try {
    const answer = await fetch(address, {integrity});
    if (answer.ok) return await answer.blob();
    throw new Error(`status ${answer.status}`);
  } catch (failure) {
    // Browsers do not say whether a file was out of reach or was refused for its content: a second look tells.
    const there = await fetch(address, {method: "HEAD"}).then((answer) => answer.ok, () => false);
    const file = new URL(address, self.location.href);
    throw new Error(there
      ? `${file} is not the file that this page was made for: its integrity hash differs, so that ${name} was not ` +
        "loaded. The copy may be damaged, of another version, or tampered with."
      : `${file} could not be fetched, so that ${name} is missing (${failure.message}). Check the connection; in a ` +
        "closed network, export the page with the runtime in its folder.");
  }
}

/** Return whether to try WebGPU: LiteRT.js has it for floats, in browsers that switch stacks (JSPI). */
async function maySuitGraphics({input, output}) {
  if (input.type !== "float32" || output.type !== "float32" || !("Suspending" in WebAssembly)) return false;
  return Boolean(await navigator.gpu?.requestAdapter().catch(() => null));
}

/** Return the module of LiteRT.js, started; of its variants, "", "compat_" or "jspi_". */
async function loadRuntime({files}, kind) {
  const variant = `core/wasm/litert_wasm_${kind}internal`;
  const names = ["wasm-utils/dist/index.js", "core/dist/index.js", `${variant}.js`, `${variant}.wasm`];
  const [tools, core, loader, program] = await Promise.all(names.map(
    (name) => fetched(files[name].address, files[name].integrity, "the runtime")));
  const urls = [], local = (parts, type = "text/javascript") => {
    urls.push(URL.createObjectURL(new Blob(parts, {type})));
    return urls.at(-1);
  };
  // Workers have no import map: the one name that the module imports is replaced by where it now lies.
  const text = (await core.text()).replace(/"@litertjs\/wasm-utils"/g, JSON.stringify(local([tools])));
  const started = local([program], "application/wasm");
  // The loader asks here where its program lies, and says here what it has to say.
  self.Module = {locateFile: () => started, print: () => {}, printErr: (line) => console.debug(line)};
  const litert = await import(local([text]));
  await litert.loadLiteRt(`${local([loader])}#.js`);  // it goes by the ending
  urls.forEach((url) => URL.revokeObjectURL(url));
  return litert;
}

/** Return whether this browser knows the instructions of Relaxed SIMD: a module of one of them is valid. */
function hasRelaxedSimd() {
  return WebAssembly.validate(new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,  // "\0asm", version 1
    1, 5, 1, 0x60, 0, 1, 0x7b,  // a type: () -> v128
    3, 2, 1, 0,  // a function of it
    10, 15, 1, 13, 0, 0x41, 0, 0xfd, 15, 0x41, 0, 0xfd, 15, 0xfd, 0x80, 2, 11,  // splat 0 twice, relaxed swizzle
  ]));
}

/** Return {run, runsOn}: on the graphics processor where that gives the same labels, else by WebAssembly. */
async function compiled(litert, content, manifest, graphics) {
  if (manifest.litert.output.type === "int8") return {run: await int8Runner(litert, content, manifest), runsOn: "WebAssembly"};
  const run = await runner(litert, content, manifest, "wasm");
  if (graphics && litert.getWebGpuDevice()) {
    try {
      const fast = await runner(litert, content, manifest, "webgpu");
      if (await agree(run, fast, manifest)) return {run: fast, runsOn: "WebGPU"};
    } catch (failure) {
      console.debug(`WebGPU is not used: ${failure.message}`);
    }
  }
  return {run, runsOn: "WebAssembly"};
}

/** Return a function from pixels, Uint8Array, to what the model answers, Float32Array. */
async function runner(litert, content, manifest, accelerator) {
  const {input, output} = manifest.litert;
  const model = await litert.loadAndCompile(content, {accelerator, gpuOptions: {precision: "fp32"}});
  return async (pixels) => {
    const tensor = new litert.Tensor(stored(pixels, input), [1, ...manifest.input.image_size, manifest.input.channels]);
    const [answer] = await model.run(tensor);
    const values = await answer.data();
    tensor.delete();
    answer.delete();
    return scores(values, output);
  };
}

/** As `runner`, for a model that answers in int8: LiteRT.js runs it, but has no tensor of that type (2.5.3). */
async function int8Runner(litert, content, manifest) {
  const {input, output} = manifest.litert;
  const wasm = litert.getGlobalLiteRt().liteRtWasm, environment = litert.getDefaultEnvironment();
  const place = wasm._malloc(content.byteLength);
  wasm.HEAPU8.set(content, place);
  const model = wasm.loadModel(environment.liteRtEnvironment, place, content.byteLength);
  const options = {environment, accelerator: "wasm", cpuOptions: {numThreads: 1}, gpuOptions: {}, webNNOptions: {}};
  const ready = await wasm.compileModel(environment.liteRtEnvironment, model, options);
  const type = model.getInputTensorType(0, 0), modes = wasm.LiteRtTensorBufferLockMode;
  const tensor = wasm.LiteRtTensorBuffer.createManaged(
    environment.liteRtEnvironment, wasm.LiteRtTensorBufferType.HOST_MEMORY, type, type.bytes());
  return async (pixels) => {
    const numbers = stored(pixels, input);
    wasm.HEAPU8.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), tensor.lock(modes.WRITE));
    tensor.unlock();
    const [answer] = await ready.run(0, [tensor]);
    const start = answer.lock(modes.READ);
    const values = new Int8Array(wasm.HEAPU8.slice(start, start + answer.packedSize()).buffer);
    answer.unlock();
    answer.delete();
    return scores(values, output);
  };
}

/** Return pixels as the model stores them: half way between two steps the even one, as NumPy rounds. */
function stored(pixels, {type, scale, zero}) {
  if (type === "float32") return Float32Array.from(pixels);
  const steps = Uint8ClampedArray.from({length: 256}, (_, value) => (scale ? value / scale + zero : value));
  return Uint8Array.from(pixels, (value) => steps[value]);
}

/** Return the numbers that a model's answer stands for; of labels, one vote per class and pixel. */
function scores(values, {type, scale, zero, votes, shape}) {
  if (votes) {
    const classes = shape[2];
    if (values.length === shape[0] * shape[1] * classes) return Float32Array.from(values);  // 0 and 1 already
    const one = new Float32Array(values.length * classes);
    values.forEach((id, at) => { one[at * classes + id] = 1; });
    return one;
  }
  return type === "float32" ? values : Float32Array.from(values, (value) => (value - zero) * scale);
}

/** Return whether two runners give the same label to nearly all pixels of an image with edges and gradients. */
async function agree(first, second, manifest) {
  const [height, width] = manifest.input.image_size, {channels} = manifest.input;
  const pixels = Uint8Array.from({length: height * width * channels}, (_, at) => {
    const column = Math.floor(at / channels) % width, row = Math.floor(at / channels / width);
    const wave = 127 + 120 * Math.sin(column / 5 + at % channels) * Math.cos(row / 7);
    return row > height * 0.6 && column < width * 0.35 ? 255 * row / height : wave;
  });
  const labels = async (run) => (await labelled(await run(pixels), height, width, manifest)).labels;
  const one = await labels(first), other = await labels(second);
  return one.filter((id, at) => id === other[at]).length >= 0.995 * one.length;
}

/** Return what `decide` of pixels.js makes of a model's scores for an image of height x width. */
async function labelled(values, height, width, {task, threshold, ignore, litert: {output}}) {
  const [h, w, classes] = output.shape;
  const cuts = Array.from({length: classes}, (_, k) => {
    const probability = (Array.isArray(threshold) ? threshold[k] : threshold) ?? 0.5;
    return output.votes ? 0.5 : Math.fround(Math.log(probability / (1 - probability)));
  });
  const {decide} = await arithmetic;
  return decide(values, h, w, classes, height, width, {task, cuts, votes: output.votes, ignored: ignore.id});
}

/** Segment an image file: decoded, resized to the model's size, run, and its scores resized back and decided. */
async function segment(blob) {
  const {manifest, run} = opened, {channels, image_size: [rows, columns]} = manifest.input;
  const begin = performance.now();
  const {decode, fit} = await arithmetic;
  const {height, width, pixels} = await decode(blob, channels);
  const values = await run(fit(pixels, height, width, channels, rows, columns));
  const result = await labelled(values, height, width, manifest);
  return {height, width, ...result, milliseconds: performance.now() - begin};
}
