// Images to the numbers a model takes, and its scores to labels, as kseg.predict does both. No page, no model here.

const MOST_PIXELS = 50e6;  // of an image; the arrays of one this large take about 0.5 GB
const RED = 19595, GREEN = 38470, BLUE = 7471;  // luminance (ITU-R BT.601) in 16 bits, as Pillow weighs them

/** Return {height, width, pixels} of an image file: Uint8Array [height * width * channels], upright, 0-255. */
export async function decode(blob, channels) {
  let bitmap;
  try {  // the numbers as they are stored: training, too, looks at neither colour profiles nor transparency
    bitmap = await createImageBitmap(blob, {colorSpaceConversion: "none", premultiplyAlpha: "none"});
  } catch {
    throw new Error("This file could not be opened as an image: it is damaged, or of a kind that this browser " +
                    "does not know. Choose a JPEG, PNG or WebP file.");
  }
  const {height, width} = bitmap;
  if (height * width > MOST_PIXELS) {
    bitmap.close();
    throw new Error(`This image has ${height * width / 1e6 | 0} million pixels, more than the ${MOST_PIXELS / 1e6} ` +
                    "million that fit into a page. Reduce it, or use `kseg predict`.");
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  let {data} = context.getImageData(0, 0, width, height);
  if (!isOpaque(data)) data = await belowTransparency(bitmap) ?? data;
  bitmap.close();
  return {height, width, pixels: inBands(data, channels)};
}

function isOpaque(rgba) {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] < 255) return false;
  return true;
}

/** Return the numbers of an ImageBitmap, red to alpha; a canvas loses colours that are (half) transparent. */
async function belowTransparency(bitmap) {
  if (typeof VideoFrame !== "function") return null;
  const frame = new VideoFrame(bitmap, {timestamp: 0}), {format} = frame;
  if (!["RGBA", "RGBX", "BGRA", "BGRX"].includes(format)) {
    frame.close();
    return null;
  }
  const data = new Uint8Array(4 * bitmap.width * bitmap.height);
  await frame.copyTo(data, {layout: [{offset: 0, stride: 4 * bitmap.width}]});
  frame.close();
  for (let at = 0; format.startsWith("B") && at < data.length; at += 4) {
    [data[at], data[at + 2]] = [data[at + 2], data[at]];
  }
  return data;
}

function inBands(rgba, channels) {
  const count = rgba.length / 4, pixels = new Uint8Array(count * channels);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    if (channels === 1) {
      pixels[to++] = (RED * rgba[from] + GREEN * rgba[from + 1] + BLUE * rgba[from + 2] + 0x8000) >> 16;
    } else {
      pixels[to++] = rgba[from];
      pixels[to++] = rgba[from + 1];
      pixels[to++] = rgba[from + 2];
    }
  }
  return pixels;
}

/**
 * Return pixels [height * width * channels] resized to rows x columns: bilinear, antialiased if a side shrinks.
 *
 * Rounded where Pillow (antialiased) and OpenCV (plain) round, which kseg resizes with: most pixels are equal to
 * theirs, some are one level off, as those of their versions among each other.
 */
export function fit(pixels, height, width, channels, rows, columns) {
  if (height === rows && width === columns) return pixels;
  const antialias = height > rows || width > columns;
  const steps = antialias ? 2 ** 22 : 2 ** 11;
  const columnsOf = weights(width, columns, antialias, steps), rowsOf = weights(height, rows, antialias, steps);
  const between = new (antialias ? Uint8Array : Int32Array)(height * columns * channels);
  for (let row = 0, to = 0; row < height; row++) {
    for (const {start, shares} of columnsOf) {
      for (let band = 0; band < channels; band++) {
        let sum = 0, from = (row * width + start) * channels + band;
        for (let k = 0; k < shares.length; k++, from += channels) sum += shares[k] * pixels[from];
        between[to++] = antialias ? sum / steps + 0.5 : sum >> 4;  // an array of bytes drops the fraction
      }
    }
  }
  const line = columns * channels, result = new Uint8ClampedArray(rows * line);
  const sums = new (antialias ? Float64Array : Int32Array)(line);
  rowsOf.forEach(({start, shares}, row) => {
    sums.fill(0);
    for (let k = 0, from = start * line; k < shares.length; k++) {
      const share = shares[k];
      for (let at = 0; at < line; at++, from++) {
        sums[at] += antialias ? share * between[from] : (share * between[from]) >> 16;
      }
    }
    for (let at = 0; at < line; at++) {
      result[row * line + at] = antialias ? Math.floor(sums[at] / steps + 0.5) : (sums[at] + 2) >> 2;
    }
  });
  return new Uint8Array(result.buffer);
}

/** Return of each of `count` places along a side of `size` pixels where its neighbours start and what each counts. */
function weights(size, count, antialias, steps) {
  const scale = size / count, reach = antialias ? Math.max(scale, 1) : 1;  // of the triangle, to either side
  return Array.from({length: count}, (_, place) => {
    const centre = (place + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), size);
    const shares = Array.from({length: end - start}, (_, k) =>
      Math.max(1 - Math.abs((start + k - centre + 0.5) / reach), 0));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return {start, shares: shares.map((share) => Math.round(share / total * steps))};
  });
}

/** Call `each(row, scores)` for every row of scores [h * w * classes] resized to rows x columns: plain bilinear. */
export function eachRowOfScores(scores, h, w, classes, rows, columns, each) {
  const blended = new Float32Array(w * classes), result = new Float32Array(columns * classes);
  const left = new Int32Array(columns), right = new Int32Array(columns), share = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    [left[column], right[column], share[column]] = neighbours(column, w, columns);
  }
  for (let row = 0; row < rows; row++) {
    const [above, below, lower] = neighbours(row, h, rows);
    const top = above * w * classes, bottom = below * w * classes;
    for (let i = 0; i < blended.length; i++) {
      blended[i] = scores[top + i] + (scores[bottom + i] - scores[top + i]) * lower;
    }
    if (w === columns) {
      each(row, blended);
      continue;
    }
    for (let column = 0, to = 0; column < columns; column++) {
      const first = left[column] * classes, second = right[column] * classes, weight = share[column];
      for (let k = 0; k < classes; k++) {
        result[to++] = blended[first + k] + (blended[second + k] - blended[first + k]) * weight;
      }
    }
    each(row, result);
  }
}

function neighbours(place, size, count) {
  const exact = Math.min(Math.max((place + 0.5) * size / count - 0.5, 0), size - 1), before = Math.floor(exact);
  return [before, Math.min(before + 1, size - 1), exact - before];
}

/**
 * Return {labels, confidence, masks} of scores [h * w * classes] at rows x columns; see the head of app.js.
 *
 * task: its name. cuts: what the score of each class must exceed where classes do not exclude each other.
 * votes: whether scores are labels that were given a class each, so that there are no probabilities.
 * ignored: the id of pixels that have no class.
 */
export function decide(scores, h, w, classes, rows, columns, {task, cuts, votes, ignored}) {
  const count = rows * columns, labels = new Uint8Array(count);
  const confidence = votes ? null : new Uint8Array(count);
  const masks = task === "multilabel" ? new Uint8Array(classes * count) : undefined;
  const deciders = {multiclass: largest, binary: foreground, multilabel: several};
  const one = deciders[task];
  const place = {labels, confidence, masks, count, classes, cuts, ignored};
  eachRowOfScores(scores, h, w, classes, rows, columns, (row, values) => {
    for (let column = 0, at = row * columns; column < columns; column++, at++) one(values, column * classes, at, place);
  });
  return {labels, confidence, masks};
}

function largest(values, from, at, {labels, confidence, classes}) {
  let best = 0;
  for (let k = 1; k < classes; k++) if (values[from + k] > values[from + best]) best = k;
  labels[at] = best;
  if (!confidence) return;
  let sum = 0;
  for (let k = 0; k < classes; k++) {
    const below = values[from + k] - values[from + best];
    if (below > -9) sum += Math.exp(below);  // less is no step of 255
  }
  confidence[at] = Math.round(255 / sum);
}

function foreground(values, from, at, {labels, confidence, cuts}) {
  labels[at] = values[from] > cuts[0] ? 1 : 0;
  if (confidence) confidence[at] = Math.round(255 * sigmoid(labels[at] ? values[from] : -values[from]));
}

function several(values, from, at, {labels, confidence, masks, count, classes, cuts, ignored}) {
  let best = -1, most = 0;
  for (let k = 0; k < classes; k++) {
    if (values[from + k] > values[from + most]) most = k;
    if (!(values[from + k] > cuts[k])) continue;
    masks[k * count + at] = 1;
    if (best < 0 || values[from + k] > values[from + best]) best = k;
  }
  labels[at] = best < 0 ? ignored : best;  // none: how sure it is that even the likeliest is not there
  if (confidence) confidence[at] = Math.round(255 * sigmoid(best < 0 ? -values[from + most] : values[from + best]));
}

const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));
