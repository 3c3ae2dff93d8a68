// The line network in the page: a LeNet whose every layer is a convolution, swept over a strip. As models/line.py.
import { CheckpointError, openSafetensors, readTensors } from "lenet/safetensors.js";

export const LINE_FORMAT = "lenet-line/1";
export const ROWS = 32; // of a strip
export const CLASSES = 11; // the digits and the blank, which means no new digit
export const COLUMNS_PER_FRAME = 2;
const FRAMES_PER_STEP = 2; // the output names two frames for each of its columns
const MAX_CHANNELS = 1024;
const WHITE = 255;

/** @typedef {{kernel: [number, number], padding: [number, number], pooling: [number, number]}} Convolution */
/** @typedef {{values: ArrayLike<number>, channels: number, height: number, width: number}} Maps */

/** As CONVOLUTIONS of models/line.py; ReLU follows each, then max-pooling. @type {Convolution[]} */
const CONVOLUTIONS = [
  { kernel: [5, 5], padding: [2, 2], pooling: [2, 2] },
  { kernel: [3, 3], padding: [1, 1], pooling: [2, 2] },
  { kernel: [3, 3], padding: [1, 1], pooling: [1, 1] },
  { kernel: [3, 3], padding: [1, 1], pooling: [2, 1] },
  { kernel: [4, 1], padding: [0, 0], pooling: [1, 1] },
  { kernel: [1, 5], padding: [0, 2], pooling: [1, 1] },
];
/** @type {Convolution} */
const OUTPUT = { kernel: [1, 1], padding: [0, 0], pooling: [1, 1] };

export class LineNetwork {
  /**
   * Throws CheckpointError as `parseCheckpoint` does.
   * @param {Uint8Array} bytes of a checkpoint of the format LINE_FORMAT
   */
  constructor(bytes) {
    const file = openSafetensors(bytes, [LINE_FORMAT]);
    const { channels } = file.card;
    const isWidth = (width) => Number.isInteger(width) && width > 0 && width <= MAX_CHANNELS;
    if (!Array.isArray(channels) || channels.length !== CONVOLUTIONS.length || !channels.every(isWidth)) {
      throw new CheckpointError("not-lenet", "the card describes no line network");
    }
    const widths = [1, ...channels, FRAMES_PER_STEP * CLASSES];
    const names = [...CONVOLUTIONS.map((_, index) => `conv${index + 1}`), "output"];
    const shapes = new Map();
    [...CONVOLUTIONS, OUTPUT].forEach(({ kernel }, index) => {
      shapes.set(`${names[index]}.weight`, [widths[index + 1], widths[index], ...kernel]);
      shapes.set(`${names[index]}.bias`, [widths[index + 1]]);
    });
    const tensors = readTensors(file, shapes, "F16");
    const data = (name) => Float64Array.from(tensors.get(name)?.data ?? []); // sums are in float64
    this.parameters = names.map((name) => ({ weight: data(`${name}.weight`), bias: data(`${name}.bias`) }));
  }

  /**
   * The logits of every frame: Float32Array (width / 2, CLASSES).
   * @param {Uint8Array} strip (ROWS, width), white ink on black @param {number} width a multiple of 4
   */
  forward(strip, width) {
    /** @type {Maps} */
    let maps = { values: Float64Array.from(strip, (byte) => byte / WHITE), channels: 1, height: ROWS, width };
    CONVOLUTIONS.forEach((part, index) => {
      maps = pool(convolve(maps, this.parameters[index], part, true), part.pooling);
    });
    const { values, width: steps } = convolve(maps, /** @type {any} */ (this.parameters.at(-1)), OUTPUT, false);
    const frames = FRAMES_PER_STEP * steps;
    return Float32Array.from({ length: frames * CLASSES }, (_, place) => {
      const [frame, label] = [Math.floor(place / CLASSES), place % CLASSES];
      const channel = FRAMES_PER_STEP * label + (frame % FRAMES_PER_STEP);
      return values[channel * steps + Math.floor(frame / FRAMES_PER_STEP)];
    });
  }
}

/**
 * A convolution as a product of matrices: the patches that the kernel sees times the weights.
 * @param {Maps} maps @param {{weight: Float64Array, bias: Float64Array}} parameters
 * @param {Convolution} part @param {boolean} rectified whether ReLU follows
 * @returns {Maps}
 */
function convolve(maps, { weight, bias }, { kernel, padding }, rectified) {
  const height = maps.height + 2 * padding[0] - kernel[0] + 1;
  const width = maps.width + 2 * padding[1] - kernel[1] + 1;
  const [count, depth] = [height * width, maps.channels * kernel[0] * kernel[1]];
  const patches = gatherPatches(maps, kernel, padding, height, width);
  const values = new Float64Array(bias.length * count);
  const put = (output, patch, sum) => {
    if (output >= bias.length || patch >= count) return;
    values[output * count + patch] = rectified ? Math.max(0, sum + bias[output]) : sum + bias[output];
  };
  // Two outputs of four patches at once: eight sums stay in registers.
  for (let output = 0; output < bias.length; output += 2) {
    const [one, other] = [output * depth, Math.min(output + 1, bias.length - 1) * depth];
    for (let patch = 0; patch < count; patch += 4) {
      let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
      let first = patch * depth, second = first + depth, third = second + depth, fourth = third + depth;
      for (let tap = 0; tap < depth; tap++) {
        const u = weight[one + tap], v = weight[other + tap];
        const p = patches[first++], q = patches[second++], r = patches[third++], s = patches[fourth++];
        a += u * p; b += u * q; c += u * r; d += u * s;
        e += v * p; f += v * q; g += v * r; h += v * s;
      }
      [a, b, c, d, e, f, g, h].forEach((sum, k) => put(output + (k >> 2), patch + (k & 3), sum));
    }
  }
  return { values, channels: bias.length, height, width };
}

/**
 * What the kernel sees at each place, one after the other; three places more, of zeros, for `convolve`.
 * @param {Maps} maps @param {[number, number]} kernel @param {[number, number]} padding
 * @param {number} rows @param {number} columns
 */
function gatherPatches({ values, channels, height, width }, kernel, padding, rows, columns) {
  const patches = new Float64Array((rows * columns + 3) * channels * kernel[0] * kernel[1]);
  let place = 0;
  for (let y = -padding[0]; y < rows - padding[0]; y++) {
    for (let x = -padding[1]; x < columns - padding[1]; x++) {
      for (let channel = 0; channel < channels; channel++) {
        for (let row = y; row < y + kernel[0]; row++) {
          const isInside = row >= 0 && row < height;
          const from = (channel * height + row) * width;
          for (let column = x; column < x + kernel[1]; column++, place++) {
            if (isInside && column >= 0 && column < width) patches[place] = values[from + column];
          }
        }
      }
    }
  }
  return patches;
}

/** Max-pooling over windows side by side. @param {Maps} maps @param {[number, number]} window @returns {Maps} */
function pool({ values, channels, height, width }, [down, across]) {
  const [rows, columns] = [height / down, width / across];
  const result = new Float64Array(channels * rows * columns).fill(-Infinity);
  for (let place = 0, y = 0; y < channels * height; y++) {
    const row = Math.floor(y / down) * columns; // the heights are whole multiples
    for (let x = 0; x < width; x++, place++) {
      const to = row + Math.floor(x / across);
      if (values[place] > result[to]) result[to] = values[place];
    }
  }
  return { values: result, channels, height: rows, width: columns };
}
