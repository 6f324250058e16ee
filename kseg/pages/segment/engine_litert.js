// The engine that runs a .tflite file in this browser, by LiteRT.js, in a worker: the page stays responsive.
//
// model.json, entry "litert":
//   model: {file, bytes, integrity}; runtime: {version, files: {name: {address, integrity}}}
//   input: {type: "float32" | "uint8", scale, zero}
//   output: {type: "float32" | "int8" | "uint8", scale, zero, shape: [height, width, classes], votes: whether labels}

export async function open(manifest, report) {
  if (typeof WebAssembly !== "object") {
    throw new Error("This browser has no WebAssembly, which the model needs, or it is switched off. Use a current " +
                    "version of Chrome, Edge, Firefox or Safari.");
  }
  if (typeof Worker !== "function" || typeof OffscreenCanvas !== "function") {
    throw new Error("This browser is too old for this page: it draws no images in the background. Use a current " +
                    "version of Chrome, Edge, Firefox or Safari.");
  }
  const ask = worker(report);
  const {runsOn} = await ask({open: manifest});
  return {runsOn, segment: (blob) => ask({segment: blob})};
}

/** Start the worker; return a function that sends it a request and gives its answer. */
function worker(report) {
  const started = new Worker(new URL("litert_worker.js", import.meta.url));
  const waiting = new Map();
  let last = 0;
  started.onmessage = ({data: {id, progress, failure, answer}}) => {
    if (progress) return report(progress);
    const {resolve, reject} = waiting.get(id);
    waiting.delete(id);
    return failure ? reject(new Error(failure)) : resolve(answer);
  };
  started.onerror = (event) => {
    event.preventDefault();
    const sentence = `The part of this page that runs the model has stopped (${event.message || "it was not found"}). ` +
      "Reload the page.";
    for (const {reject} of waiting.values()) reject(new Error(sentence));
    waiting.clear();
  };
  return (request) => new Promise((resolve, reject) => {
    waiting.set(++last, {resolve, reject});
    started.postMessage({id: last, ...request});
  });
}
