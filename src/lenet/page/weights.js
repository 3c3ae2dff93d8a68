// Weights as the page carries them, back to the bytes of their safetensors file.

/** Undo `pack_weights` of bundle.py: numbers rotated by one bit, and their bytes sorted by
 * place. What was rounded stays rounded.
 * @param {Uint8Array} packed
 * @returns {Uint8Array}
 */
export function unpackWeights(packed) {
  const start = 8 + new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const count = (packed.length - start) / 4;
  const bytes = new Uint8Array(packed.length);
  bytes.set(packed.subarray(0, start));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let k = 0; k < 4; k++) value = (value << 8) | packed[start + k * count + i];
    view.setUint32(start + 4 * i, (value >>> 1) | (value << 31), true);
  }
  return bytes;
}
