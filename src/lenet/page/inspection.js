// Where a number of a layer comes from: the pixels that it depends on, and the sum that it is.
import { describeSteps, findLinks, POOL } from "lenet/config.js";
import { isConvolution, isPooling } from "lenet/geometry.js";

/** @typedef {import("lenet/config.js").Config} Config */
/** @typedef {import("lenet/config.js").Layer} Layer */
/** @typedef {import("lenet/network.js").Network} Network */
/** @typedef {import("lenet/network.js").Result} Result */

/**
 * Pixels of the prepared image; they may lie in its padding.
 * @typedef {{top: number, left: number, height: number, width: number}} Field
 */

/**
 * One summand. Of a convolution: an input map, the patch of it, the kernel, and the sum of their products. Of a dense
 * layer: `map` is the number of the input, the patch its value, the kernel its weight; behind bitmaps, the sum is
 * minus the squared difference. Otherwise there is no kernel. `place` is where the kernel begins in the weights.
 * @typedef {object} Summand
 * @property {number} map @property {Float32Array} patch @property {Float32Array | null} kernel
 * @property {number} height @property {number} width @property {number} sum @property {number} [place]
 */
/**
 * `sum` is that of all inputs and the bias; of pooling, the average or maximum; of an activation, what enters it.
 * `output` is what leaves the layer: 0 where the map is muted.
 * @typedef {{inputs: Summand[], bias: number, sum: number, output: number}} Arithmetic
 */

const MOST_INPUTS = 20; // of a dense layer, the largest products

/**
 * The pixels of the prepared image that the output (y, x) of a layer depends on; all of them behind `flatten`.
 * @param {Config} config @param {Layer[]} layers @param {string} name @param {number} y @param {number} x
 * @returns {Field}
 */
export function findReceptiveField(config, layers, name, y, x) {
  let [extent, stride, start] = [1, 1, 0]; // as insight/activations.py: the output starts at stride · y + start
  for (const layer of layers) {
    if (isConvolution(layer.kind)) {
      const { padding, step } = describeSteps(config, layer.name);
      start -= padding * stride;
      extent += (config.kernel_size - 1) * stride;
      stride *= step;
    } else if (isPooling(layer.kind)) {
      extent += (POOL - 1) * stride;
      stride *= POOL;
    } else if (layer.kind === "Flatten") break;
    if (layer.name === name) {
      return { top: stride * y + start, left: stride * x + start, height: extent, width: extent };
    }
  }
  return { top: 0, left: 0, height: config.input_size, width: config.input_size };
}

/**
 * How one number of a layer's output was computed.
 * @param {Network} network @param {Result} result @param {string} name @param {number} index in the flat output
 * @returns {Arithmetic}
 */
export function explainOutput({ config, layers, parameters }, result, name, index) {
  const order = layers.findIndex((layer) => layer.name === name);
  const values = result.outputs.get(name);
  if (!values || !(index in values)) throw new RangeError(`there is no output ${index} of ${name}`);
  const output = values[index];
  const [layer, before] = [layers[order], layers[order - 1]];
  const inputs = before && result.outputs.get(before.name);
  if (!inputs) return { inputs: [], bias: 0, sum: output, output };
  const weight = parameters.get(`${name}.weight`) ?? new Float32Array();
  const side = before.shape[1];
  const area = (layer.shape[1] ?? 1) * (layer.shape[2] ?? 1);
  const [map, y, x] = [Math.floor(index / area), Math.floor((index % area) / layer.shape[2]), index % layer.shape[2]];
  const bias = parameters.get(`${name}.bias`)?.[layer.kind === "StridedConv2d" ? index : map] ?? 0;

  if (isConvolution(layer.kind)) {
    const kernel = config.kernel_size;
    const { padding, step, border } = describeSteps(config, name);
    const rows = findLinks(config, name, before.shape[0], layer.shape[0]);
    const first = rows.slice(0, map).reduce((total, row) => total + row.length, 0);
    const summands = rows[map].map((/** @type {number} */ input, /** @type {number} */ number) => {
      const patch = cut(inputs, input, side, step * y - padding, step * x - padding, kernel, border);
      const place = (first + number) * kernel * kernel;
      return { ...multiply(input, patch, weight.slice(place, place + kernel * kernel), kernel), place };
    });
    return { inputs: summands, bias, sum: add(summands) + bias, output };
  }
  if (layer.kind === "Linear") {
    const summands = Array.from(inputs, (value, input) =>
      multiply(input, Float32Array.of(value), Float32Array.of(weight[map * inputs.length + input]), 1),
    );
    const largest = [...summands].sort((one, other) => Math.abs(other.sum) - Math.abs(one.sum)).slice(0, MOST_INPUTS);
    return { inputs: largest, bias, sum: add(summands) + bias, output };
  }
  if (layer.kind === "RadialBasis") {
    const scale = parameters.get(`${name}.scale`)?.[map] ?? 1;
    const summands = Array.from(inputs, (value, input) => {
      const pixel = weight[map * inputs.length + input];
      const kernel = Float32Array.of(pixel);
      const sum = -scale * (value - pixel) ** 2;
      return { map: input, patch: Float32Array.of(value), kernel, height: 1, width: 1, sum };
    });
    const largest = [...summands].sort((one, other) => one.sum - other.sum).slice(0, MOST_INPUTS);
    return { inputs: largest, bias, sum: add(summands) + bias, output };
  }
  if (layer.kind === "Subsampling") {
    const source = Math.floor((map * before.shape[0]) / layer.shape[0]);
    const patch = cut(inputs, source, side, POOL * y, POOL * x, POOL);
    const kernel = new Float32Array(patch.length).fill(weight[map]);
    const part = multiply(source, patch, kernel, POOL);
    return { inputs: [part], bias, sum: part.sum + bias, output };
  }
  if (isPooling(layer.kind)) {
    const patch = cut(inputs, map, side, POOL * y, POOL * x, POOL);
    const sum =
      config.pooling === "max" ? Math.max(...patch) : patch.reduce((one, other) => one + other) / patch.length;
    return { inputs: [{ map, patch, kernel: null, height: POOL, width: POOL, sum }], bias, sum, output };
  }
  const patch = Float32Array.of(inputs[index]); // activations, flatten and dropout take one number
  return { inputs: [{ map, patch, kernel: null, height: 1, width: 1, sum: patch[0] }], bias, sum: patch[0], output };
}

/**
 * A square of a map, with a border beyond its edges.
 * @param {Float32Array} maps @param {number} map @param {number} side @param {number} top @param {number} left
 * @param {number} extent @param {number} border
 */
function cut(maps, map, side, top, left, extent, border = 0) {
  return Float32Array.from({ length: extent * extent }, (_, place) => {
    const [y, x] = [top + Math.floor(place / extent), left + (place % extent)];
    return y >= 0 && x >= 0 && y < side && x < side ? maps[(map * side + y) * side + x] : border;
  });
}

/**
 * @param {number} map @param {Float32Array} patch @param {Float32Array} kernel @param {number} side
 * @returns {Summand}
 */
function multiply(map, patch, kernel, side) {
  const sum = patch.reduce((total, value, place) => total + value * kernel[place], 0);
  return { map, patch, kernel, height: side, width: side, sum };
}

/** @param {Summand[]} summands */
function add(summands) {
  return summands.reduce((total, { sum }) => total + sum, 0);
}
