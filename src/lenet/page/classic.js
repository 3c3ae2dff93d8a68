// What the networks of 1989 to 1998 had and today's do not; the same as models/classic.py and classic_layers.py.
const POOL = 2; // side of a window; config.js, which has it too, imports this module

export const AMPLITUDE = 1.7159; // of the squashing function A · tanh(S · a)
export const SLOPE = 2 / 3;

/**
 * For each map of the second convolution, the maps of the layer before it that it sees.
 * @type {Record<string, number[][]>}
 */
export const LINKS = {
  lenet1: [[0], [0, 1], [0, 1], [1], [0, 1], [0, 1], [2], [2, 3], [2, 3], [3], [2, 3], [2, 3]],
  lenet4: [2, 4].flatMap((second) =>
    Array.from({ length: 8 }, (_, first) => [0, 1, second].map((step) => (first + step) % 8).sort((a, b) => a - b)),
  ),
  // prettier-ignore
  lenet5: [
    [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [0, 4, 5], [0, 1, 5],
    [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 5],
    [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5],
    [0, 1, 2, 3, 4, 5],
  ],
  lenet1989: Array.from({ length: 12 }, (_, first) =>
    Array.from({ length: 8 }, (_, step) => (first + step) % 12).sort((a, b) => a - b),
  ),
};
/** Subsampling maps behind each map of the first convolution; elsewhere one. @type {Record<string, number>} */
export const COPIES = { lenet4: 2 };
export const BITMAP_PIXELS = 84;
export const BORDER = -1; // of 1989: what lies around the input of every convolution

/** How many kernels there are. @param {number[][]} links the maps that each output map sees */
export function countLinks(links) {
  return links.reduce((total, row) => total + row.length, 0);
}

/**
 * The kernels of a partial convolution as those of a whole one: 0 where there is no link.
 * @param {Float32Array} weight @param {number[][]} links @param {number} inputs @param {number} kernel
 */
export function spreadKernels(weight, links, inputs, kernel) {
  const area = kernel * kernel;
  const whole = new Float32Array(links.length * inputs * area);
  let place = 0;
  links.forEach((row, output) => {
    for (const input of row) {
      whole.set(weight.subarray(place * area, (place + 1) * area), (output * inputs + input) * area);
      place++;
    }
  });
  return whole;
}

/**
 * Sums of 2×2 windows, times the coefficient of the map, plus its bias; several maps may follow one.
 * @param {Float32Array} maps @param {Float32Array} weight one number a map @param {Float32Array} bias
 * @param {number} inputs @param {number} side
 */
export function subsample(maps, weight, bias, inputs, side) {
  const half = Math.floor(side / POOL);
  const result = new Float32Array(weight.length * half * half);
  let place = 0;
  weight.forEach((factor, map) => {
    const input = Math.floor((map * inputs) / weight.length);
    for (let y = 0; y < half; y++) {
      for (let x = 0; x < half; x++) {
        const at = (input * side + POOL * y) * side + POOL * x;
        result[place++] = factor * (maps[at] + maps[at + 1] + maps[at + side] + maps[at + side + 1]) + bias[map];
      }
    }
  });
  return result;
}

/**
 * The gradient of `subsample` by its maps.
 * @param {Float32Array} gradient @param {Float32Array} weight @param {number} inputs @param {number} side
 */
export function subsampleBackward(gradient, weight, inputs, side) {
  const half = Math.floor(side / POOL);
  const result = new Float32Array(inputs * side * side);
  let place = 0;
  weight.forEach((factor, map) => {
    const input = Math.floor((map * inputs) / weight.length);
    for (let y = 0; y < half; y++) {
      for (let x = 0; x < half; x++) {
        const value = factor * gradient[place++];
        const at = (input * side + POOL * y) * side + POOL * x;
        for (const pixel of [at, at + 1, at + side, at + side + 1]) result[pixel] += value;
      }
    }
  });
  return result;
}

/**
 * The logits: bias − scale · the squared distance of a code from the bitmap of each class.
 * @param {Float32Array} code @param {Float32Array} bitmaps (classes, code) @param {Float32Array} bias
 * @param {Float32Array} scale
 */
export function measureDistances(code, bitmaps, bias, scale) {
  return bias.map((start, output) => {
    const sum = code.reduce((total, value, i) => total + (value - bitmaps[output * code.length + i]) ** 2, 0);
    return start - scale[output] * sum;
  });
}

/**
 * The gradient of `measureDistances` by the code.
 * @param {Float32Array} gradient @param {Float32Array} code @param {Float32Array} bitmaps @param {Float32Array} scale
 */
export function measureDistancesBackward(gradient, code, bitmaps, scale) {
  return code.map((value, i) =>
    gradient.reduce(
      (total, factor, output) => total - 2 * factor * scale[output] * (value - bitmaps[output * code.length + i]),
      0,
    ),
  );
}
