// The arithmetic of the layers and of their backward passes, as PyTorch's, for one image.
// Maps are flat Float32Arrays of (channels, side, side), vectors of (width). Sums are in float64.
import { AMPLITUDE, SLOPE } from "lenet/classic.js";
import { POOL } from "lenet/config.js";

const LEAK = 0.01; // slope of leaky-relu below 0
const SQRT_HALF = Math.SQRT1_2;
const GAUSS_PEAK = 1 / Math.sqrt(2 * Math.PI);

/**
 * A convolution's sizes.
 * @typedef {{inputs: number, outputs: number, side: number, kernel: number, padding: number, border?: number}} Convolution
 */

/**
 * The maps (outputs, n, n), n = side + 2·padding − kernel + 1, of maps (inputs, side, side).
 * @param {Float32Array} maps @param {Float32Array} weight (outputs, inputs, kernel, kernel) @param {Float32Array} bias
 * @param {Convolution} sizes
 */
export function convolve(maps, weight, bias, { inputs, outputs, side, kernel, padding, border = 0 }) {
  const padded = pad(maps, inputs, side, padding, border);
  const width = side + 2 * padding;
  const out = width - kernel + 1;
  const result = new Float32Array(outputs * out * out);
  const row = new Float64Array(out);
  for (let output = 0; output < outputs; output++) {
    for (let y = 0; y < out; y++) {
      row.fill(bias[output]);
      let place = output * inputs * kernel * kernel; // in the weight
      for (let input = 0; input < inputs; input++) {
        for (let dy = 0; dy < kernel; dy++) {
          addRow(row, padded, (input * width + y + dy) * width, weight, place, kernel);
          place += kernel;
        }
      }
      result.set(row, (output * out + y) * out);
    }
  }
  return result;
}

/**
 * Add a row of pixels, from `from` on, times one row of a kernel, from `place` on, to a row of sums.
 * @param {Float64Array} sums @param {Float64Array} pixels @param {number} from
 * @param {ArrayLike<number>} weight @param {number} place @param {number} kernel
 */
function addRow(sums, pixels, from, weight, place, kernel) {
  let dx = 0;
  for (; dx + 5 <= kernel; dx += 5) {
    // five at a time: a LeNet's kernel, and a fifth of the reads and writes of sums
    const a = weight[place + dx];
    const b = weight[place + dx + 1];
    const c = weight[place + dx + 2];
    const d = weight[place + dx + 3];
    const e = weight[place + dx + 4];
    for (let x = 0, at = from + dx; x < sums.length; x++, at++) {
      sums[x] += a * pixels[at] + b * pixels[at + 1] + c * pixels[at + 2] + d * pixels[at + 3] + e * pixels[at + 4];
    }
  }
  for (; dx < kernel; dx++) {
    const factor = weight[place + dx];
    for (let x = 0, at = from + dx; x < sums.length; x++, at++) sums[x] += factor * pixels[at];
  }
}

/**
 * The gradient of `convolve` by its maps, from the gradient by its result.
 * @param {Float32Array} gradient @param {Float32Array} weight @param {Convolution} sizes
 */
export function convolveBackward(gradient, weight, { inputs, outputs, side, kernel, padding }) {
  // A convolution with the kernels turned round, inputs and outputs exchanged, of the gradient in a margin of zeros.
  const area = kernel * kernel;
  const turned = new Float32Array(weight.length);
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const kernels = weight.subarray((output * inputs + input) * area, (output * inputs + input + 1) * area);
      turned.set(kernels.toReversed(), (input * outputs + output) * area);
    }
  }
  const out = side + 2 * padding - kernel + 1;
  const sizes = { inputs: outputs, outputs: inputs, side: out, kernel, padding: kernel - 1 };
  return crop(convolve(gradient, turned, new Float32Array(inputs), sizes), inputs, side, padding);
}

/**
 * Every map with a border around it, as float64, which the sums need not convert then.
 * @param {Float32Array} maps @param {number} count @param {number} side @param {number} padding @param {number} border
 */
function pad(maps, count, side, padding, border) {
  const width = side + 2 * padding;
  const padded = new Float64Array(count * width * width).fill(border);
  for (let map = 0; map < count; map++) {
    for (let y = 0; y < side; y++) {
      const from = (map * side + y) * side;
      padded.set(maps.subarray(from, from + side), (map * width + y + padding) * width + padding);
    }
  }
  return padded;
}

/**
 * Maps without a margin.
 * @param {Float32Array} maps @param {number} count @param {number} side @param {number} margin
 */
function crop(maps, count, side, margin) {
  const width = side + 2 * margin;
  const result = new Float32Array(count * side * side);
  for (let row = 0; row < count * side; row++) {
    const from = (Math.floor(row / side) * width + (row % side) + margin) * width + margin;
    result.set(maps.subarray(from, from + side), row * side);
  }
  return result;
}

/**
 * Averages or maxima of 2×2 windows with stride 2; the last row and column of an odd side are left out.
 * @param {Float32Array} maps @param {number} channels @param {number} side @param {string} kind "avg" or "max"
 */
export function pool(maps, channels, side, kind) {
  const half = Math.floor(side / POOL);
  const result = new Float32Array(channels * half * half);
  let place = 0;
  for (let map = 0; map < channels; map++) {
    for (let y = 0; y < half; y++) {
      let from = (map * side + POOL * y) * side;
      for (let x = 0; x < half; x++, from += POOL) {
        const above = maps[from];
        const right = maps[from + 1];
        const below = maps[from + side];
        const last = maps[from + side + 1];
        result[place++] = kind === "max" ? Math.max(above, right, below, last) : (above + right + below + last) / 4;
      }
    }
  }
  return result;
}

/**
 * The gradient of `pool` by its maps. A maximum passes it to the first pixel, in reading order, that holds it.
 * @param {Float32Array} gradient @param {Float32Array} maps @param {number} channels @param {number} side
 * @param {string} kind
 */
export function poolBackward(gradient, maps, channels, side, kind) {
  const half = Math.floor(side / POOL);
  const result = new Float32Array(channels * side * side);
  let place = 0;
  for (let map = 0; map < channels; map++) {
    for (let y = 0; y < half; y++) {
      let from = (map * side + POOL * y) * side;
      for (let x = 0; x < half; x++, from += POOL) {
        const value = gradient[place++];
        let best = from;
        for (let pixel = 0; pixel < 4; pixel++) {
          const at = from + (pixel >> 1) * side + (pixel & 1);
          if (kind === "avg") result[at] = value / 4;
          else if (maps[at] > maps[best]) best = at;
        }
        if (kind === "max") result[best] = value;
      }
    }
  }
  return result;
}

/** @param {Float32Array} vector @param {Float32Array} weight (outputs, inputs) @param {Float32Array} bias */
export function dense(vector, weight, bias) {
  const inputs = vector.length;
  return bias.map((start, output) => {
    let sum = start;
    for (let input = 0, place = output * inputs; input < inputs; input++) sum += weight[place++] * vector[input];
    return sum;
  });
}

/** The gradient of `dense` by its vector. @param {Float32Array} gradient @param {Float32Array} weight */
export function denseBackward(gradient, weight) {
  const sums = new Float64Array(weight.length / gradient.length);
  gradient.forEach((factor, output) => {
    for (let input = 0, place = output * sums.length; input < sums.length; input++)
      sums[input] += factor * weight[place++];
  });
  return Float32Array.from(sums);
}

/** @param {number} x */
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The standard normal distribution, to 1e-7 (Abramowitz and Stegun, 7.1.26). @param {number} x */
function normal(x) {
  const z = Math.abs(x) * SQRT_HALF;
  const t = 1 / (1 + 0.3275911 * z);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = (series * Math.exp(-z * z)) / 2;
  return x < 0 ? tail : 1 - tail;
}

/**
 * Each activation and its derivative, by the kind of its layer.
 * @type {Record<string, [(x: number) => number, (x: number) => number]>}
 */
export const ACTIVATIONS = {
  Sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
  Tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  ScaledTanh: [
    (x) => AMPLITUDE * Math.tanh(SLOPE * x),
    (x) => AMPLITUDE * SLOPE * (1 - Math.tanh(SLOPE * x) ** 2),
  ],
  ReLU: [(x) => (x > 0 ? x : 0), (x) => (x > 0 ? 1 : 0)],
  LeakyReLU: [(x) => (x > 0 ? x : LEAK * x), (x) => (x > 0 ? 1 : LEAK)],
  ELU: [(x) => (x > 0 ? x : Math.expm1(x)), (x) => (x > 0 ? 1 : Math.exp(x))],
  GELU: [(x) => x * normal(x), (x) => normal(x) + x * GAUSS_PEAK * Math.exp((-x * x) / 2)],
  SiLU: [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
};

/** Probabilities that add up to 1. @param {Float32Array} logits */
export function softmax(logits) {
  const highest = logits.reduce((one, other) => Math.max(one, other));
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((one, other) => one + other);
  return Float32Array.from(powers, (power) => power / sum);
}
