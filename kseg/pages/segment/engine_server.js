// The engine of a page that a kseg server gives out: photographs go to it as files, and it answers with what it saw.
// Interface: see the head of app.js. Answer: a line of JSON, then arrays of bytes; see kseg/serving/photograph.py.

export async function open(manifest) {
  const limits = manifest.server;
  return {
    runsOn: "server",
    segment: (blob) => segment(blob, limits),
  };
}

async function segment(blob, limits) {
  if (blob.size === 0) throw new Error("This file is empty. Choose another.");
  if (blob.size > limits.max_bytes) {
    throw new Error(`This file has ${millions(blob.size)} million bytes, and the server takes at most ` +
                    `${millions(limits.max_bytes)} million. Choose a smaller one.`);
  }
  await checkShown(blob);
  const answer = await asked("segment", blob);
  if (!answer.ok) throw new Error(await sentence(answer));
  return unpacked(new Uint8Array(await answer.arrayBuffer()));
}

/** Refuse what the page could not show: of such a file the labels alone would come back. */
async function checkShown(blob) {
  try {
    (await createImageBitmap(blob)).close();
  } catch {
    throw new Error("This browser cannot show the file: it is damaged, no image, or of a kind that browsers do not " +
                    "open, such as TIFF. Choose another, or use kseg predict.");
  }
}

async function asked(address, blob) {
  try {
    return await fetch(address, {method: "POST", body: blob, headers: {"Content-Type": "application/octet-stream"}});
  } catch {
    throw new Error("The server does not answer. Is it still running? Start it again and reload this page.");
  }
}

async function sentence(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return answer.status === 503 ? "The server is busy. Try again." : `The server failed (status ${answer.status}).`;
  }
}

function unpacked(bytes) {
  const end = bytes.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const pixels = head.height * head.width;
  let place = end + 1;
  const next = (length) => bytes.subarray(place, place += length);
  const result = {height: head.height, width: head.width, milliseconds: head.milliseconds, labels: next(pixels)};
  result.confidence = head.confidence ? next(pixels) : null;
  if (head.masks) result.masks = next(head.masks * pixels);
  if (place !== bytes.length) throw new Error("The server's answer is incomplete. Try again.");
  return result;
}

const millions = (count) => (count / 1e6).toFixed(1);
