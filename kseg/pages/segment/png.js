// Label maps as indexed PNG files, as `kseg predict` writes them: the stored values are the ids. A canvas writes only
// colours.

const TABLE = Uint32Array.from({length: 256}, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** Return a Blob of ids, Uint8Array [height * width]; palette: Uint8Array [256 * 3], red, green and blue of each. */
export async function indexedPng(ids, height, width, palette) {
  const rows = new Uint8Array(height * (width + 1));  // a 0 before each row: not filtered
  for (let row = 0; row < height; row++) rows.set(ids.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new Uint8Array(13), numbers = new DataView(header.buffer);
  numbers.setUint32(0, width);
  numbers.setUint32(4, height);
  header.set([8, 3, 0, 0, 0], 8);  // 8 bits, indexed
  return new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), part("IHDR", header),
                   part("PLTE", palette), part("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
                   part("IEND", new Uint8Array())], {type: "image/png"});
}

function part(name, content) {
  const bytes = new Uint8Array(12 + content.length), numbers = new DataView(bytes.buffer);
  numbers.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(content, 8);
  let check = 0xffffffff;
  for (let at = 4; at < bytes.length - 4; at++) check = TABLE[(check ^ bytes[at]) & 255] ^ (check >>> 8);
  numbers.setUint32(bytes.length - 4, ~check >>> 0);
  return bytes;
}
