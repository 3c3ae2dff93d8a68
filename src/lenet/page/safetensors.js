// Reads a checkpoint, a .safetensors file: the length of a JSON header (8 bytes), the header, the numbers.
// The file may come from a stranger. Nothing in its header is believed before it is checked.
import { describeTensors, readConfig, size } from "lenet/config.js";

/** @typedef {import("lenet/config.js").Config} Config */
/** @typedef {{shape: number[], data: Float32Array}} Tensor */

/**
 * @typedef {object} Checkpoint
 * @property {Record<string, any>} card
 * @property {Config} config
 * @property {string[]} classes the name of each class, in the order of the logits
 * @property {Map<string, Tensor>} tensors
 */

/**
 * A file whose header was read: its card, the entries of the header, and the bytes of the tensors.
 * @typedef {{card: Record<string, any>, header: Record<string, any>, content: Uint8Array}} File
 */

/**
 * @typedef {"not-safetensors" | "pickle" | "not-lenet" | "does-not-fit" | "not-finite"} CheckpointErrorCode
 */

export const FORMAT = "lenet/1";
const LARGEST_FILE = 64 * 2 ** 20; // bytes
const PREFIX = 8; // bytes of the header's length
const BYTES = { F32: 4, F16: 2 }; // of a number
const BRACE = 0x7b;

/** A file that is no checkpoint, or a damaged one. `code` is for a program, `detail` for a person. */
export class CheckpointError extends Error {
  /** @param {CheckpointErrorCode} code @param {string} detail */
  constructor(code, detail) {
    super(`${code}: ${detail}`);
    this.name = "CheckpointError";
    this.code = code;
    this.detail = detail;
  }
}

/**
 * The card and the tensors, not yet read, of a safetensors file with a card of a known format.
 *
 * Throws CheckpointError: "not-safetensors" (damaged or another format), "pickle" (never read), "not-lenet".
 * @param {Uint8Array} bytes @param {string[]} formats @returns {File}
 */
export function openSafetensors(bytes, formats) {
  if (isPickle(bytes)) throw new CheckpointError("pickle", "a pickle can run any program; it is never read");
  if (bytes.length > LARGEST_FILE) {
    throw new CheckpointError("not-lenet", `${bytes.length} bytes; at most ${LARGEST_FILE} are read`);
  }
  const { header, start } = readHeader(bytes);
  return { card: readCard(header.__metadata__, formats), header, content: bytes.subarray(start) };
}

/**
 * The network in the bytes of a checkpoint. The tensors are copies.
 *
 * Throws CheckpointError as `openSafetensors` does, and: "not-lenet" (the card describes no network), "does-not-fit"
 * (tensors of other names, types or shapes), "not-finite".
 * @param {Uint8Array} bytes
 * @returns {Checkpoint}
 */
export function parseCheckpoint(bytes) {
  const file = openSafetensors(bytes, [FORMAT]);
  const { card } = file;
  const config = readCardConfig(card);
  const classes = card.classes;
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === "string")) {
    throw new CheckpointError("not-lenet", "the card names no classes");
  }
  if (classes.length !== config.classes) {
    throw new CheckpointError("not-lenet", `the card names ${classes.length} classes for ${config.classes} logits`);
  }
  return { card, config, classes, tensors: readTensors(file, describeTensors(config), "F32") };
}

/** Whether this is what torch.save or pickle.dump writes: a zip, or opcodes. @param {Uint8Array} bytes */
function isPickle(bytes) {
  if (bytes[PREFIX] === BRACE) return false;
  const [first, second, third, fourth] = bytes;
  const isZip = first === 0x50 && second === 0x4b && third === 3 && fourth === 4;
  return isZip || (first === 0x80 && second <= 5) || "(c]}".includes(String.fromCharCode(first));
}

/**
 * The header and the place where the numbers start.
 * @param {Uint8Array} bytes
 * @returns {{header: Record<string, any>, start: number}}
 */
function readHeader(bytes) {
  if (bytes.length < PREFIX) throw new CheckpointError("not-safetensors", "the file is too short");
  const length = new DataView(bytes.buffer, bytes.byteOffset, PREFIX).getBigUint64(0, true);
  if (length > BigInt(bytes.length - PREFIX)) {
    throw new CheckpointError("not-safetensors", "the header is longer than the file");
  }
  const start = PREFIX + Number(length);
  const header = parseJson(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(PREFIX, start)));
  if (!isObject(header)) throw new CheckpointError("not-safetensors", "the header is no JSON object");
  return { header, start };
}

/** @param {unknown} metadata @param {string[]} formats @returns {Record<string, any>} */
function readCard(metadata, formats) {
  const text = isObject(metadata) ? metadata.card : undefined;
  const card = typeof text === "string" ? parseJson(() => text) : undefined;
  if (!isObject(card) || !formats.includes(card.format)) {
    throw new CheckpointError("not-lenet", `the file has no card of format ${formats.join(" or ")}`);
  }
  return card;
}

/** @param {Record<string, any>} card */
function readCardConfig(card) {
  if (!isObject(card.config)) throw new CheckpointError("not-lenet", "the card has no configuration");
  try {
    return readConfig(card.config);
  } catch (error) {
    if (error instanceof RangeError) throw new CheckpointError("not-lenet", error.message);
    throw error;
  }
}

/**
 * The tensors, which must have exactly these names, shapes and type, and fill the file without gap or overlap.
 * @param {File} file @param {Map<string, number[]>} shapes @param {"F32" | "F16"} type
 */
export function readTensors({ content, header }, shapes, type) {
  const names = Object.keys(header).filter((name) => name !== "__metadata__");
  const odd = [
    ...names.filter((name) => !shapes.has(name)),
    ...[...shapes.keys()].filter((name) => !names.includes(name)),
  ];
  if (odd.length) throw new CheckpointError("does-not-fit", `the tensors are not those of its network: ${odd[0]}`);
  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  /** @type {[number, number][]} */
  const spans = [];
  for (const [name, shape] of shapes) {
    const entry = header[name];
    const own = isObject(entry) && Array.isArray(entry.shape) ? entry.shape : [];
    if (entry?.dtype !== type || own.length !== shape.length || !shape.every((side, axis) => own[axis] === side)) {
      throw new CheckpointError("does-not-fit", `${name} is not ${type} ${shape.join("×")}`);
    }
    const offsets = Array.isArray(entry.data_offsets) ? entry.data_offsets : [];
    const [begin, end] = offsets;
    const isSpan = offsets.length === 2 && Number.isSafeInteger(begin) && begin >= 0 && end <= content.length;
    if (!isSpan || end - begin !== BYTES[type] * size(shape)) {
      throw new CheckpointError("not-safetensors", `${name} lies outside the file`);
    }
    spans.push([begin, end]);
    tensors.set(name, { shape, data: readFloats(content.subarray(begin, end), name, type) });
  }
  spans.sort((one, other) => one[0] - other[0]);
  if (
    !spans.every(([begin], index) => begin === (index ? spans[index - 1][1] : 0)) ||
    spans.at(-1)?.[1] !== content.length
  ) {
    throw new CheckpointError("not-safetensors", "the tensors do not fill the file");
  }
  return tensors;
}

/**
 * Little-endian floats, as every browser's machine has them.
 * @param {Uint8Array} bytes @param {string} name @param {"F32" | "F16"} type
 */
function readFloats(bytes, name, type) {
  const { buffer } = new Uint8Array(bytes); // copied: the bytes need not be aligned
  const data = type === "F32" ? new Float32Array(buffer) : readHalf(new Uint16Array(buffer));
  if (!data.every(Number.isFinite))
    throw new CheckpointError("not-finite", `${name} holds a number that is not finite`);
  return data;
}

/**
 * The values of IEEE 754 half floats: a sign, 5 bits of exponent, 10 of fraction.
 * @param {Uint16Array} halves
 * @returns {Float32Array}
 */
function readHalf(halves) {
  return Float32Array.from(halves, (bits) => {
    const [exponent, fraction] = [(bits >> 10) & 31, (bits & 1023) / 1024];
    const size = exponent === 31 ? (fraction ? NaN : Infinity)
      : exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
    return bits >> 15 ? -size : size;
  });
}

/** @param {() => string} read @returns {unknown} */
function parseJson(read) {
  try {
    return JSON.parse(read());
  } catch (error) {
    throw new CheckpointError("not-safetensors", String(error));
  }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
