// "Teach it your hand": images with their right labels, as a zip archive of class folders.

/** One image of 28 × 28 bytes and its label. @typedef {{image: Uint8Array, label: string}} Correction */

/** The corrections as pictures in class folders: a zip archive, uncompressed.
 * @param {Correction[]} corrections
 * @returns {Promise<Blob>}
 */
export async function makeArchive(corrections) {
  const files = await Promise.all(
    corrections.map(async ({ image, label }, i) => ({
      name: `corrections/${label}/${String(i + 1).padStart(4, "0")}.png`,
      content: new Uint8Array(await (await makePng(image)).arrayBuffer()),
    })),
  );
  return new Blob(writeZip(files), { type: "application/zip" });
}

/** An image of 28 × 28 bytes as a PNG, light ink on black as MNIST has it.
 * @param {Uint8Array} image
 * @returns {Promise<Blob>}
 */
export function makePng(image) {
  const canvas = new OffscreenCanvas(28, 28);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.putImageData(greyImage(context, image), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Bytes as opaque grey pixels.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Uint8Array} image
 */
export function greyImage(context, image) {
  const picture = context.createImageData(28, 28);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (image[i] * 0x010101);
  return picture;
}

/** The parts of a zip archive whose files are stored as they are (APPNOTE 6.3, sections 4.3.7 to 4.3.16). */
function writeZip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, content } of files) {
    const path = new TextEncoder().encode(name);
    // version 1.0, UTF-8 name, stored, 1980-01-01
    const common = [20, 0x800, 0, 0, 0x21, checksum(content), content.length, content.length, path.length, 0];
    const header = pack([4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2], [0x04034b50, ...common]);
    parts.push(header, path, content);
    directory.push(
      pack([4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4], [0x02014b50, 20, ...common, 0, 0, 0, 0, offset]),
      path,
    );
    offset += header.length + path.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = pack([4, 2, 2, 2, 2, 4, 4, 2], [0x06054b50, 0, 0, files.length, files.length, size, offset, 0]);
  return [...parts, ...directory, end];
}

/** Numbers of 2 or 4 bytes, little-endian. */
function pack(sizes, values) {
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  sizes.forEach((size, i) => {
    if (size === 2) view.setUint16(at, values[i], true);
    else view.setUint32(at, values[i], true);
    at += size;
  });
  return bytes;
}

/** CRC-32 of bytes. */
function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
