// Linear maps of a plane that treat its columns and its rows one after the other: resampling, weighted means.
// Resampling is antialiased, as Pillow's `Image.resize` and PyTorch's `interpolate(antialias=True)` are.

/**
 * One output of a side is `counts` inputs, from `starts` on, times `weights`, of which there are `reach` an output.
 * @typedef {object} Rows
 * @property {number} inputs
 * @property {number} outputs
 * @property {number} reach
 * @property {Int32Array} starts
 * @property {Int32Array} counts
 * @property {Float64Array} weights
 */
/** @typedef {{support: number, weigh: (distance: number) => number}} Filter */

/** @type {Filter} */
export const TRIANGLE = { support: 1, weigh: (distance) => Math.max(0, 1 - Math.abs(distance)) };
/** @type {Filter} */
export const BOX = { support: 0.5, weigh: (distance) => (distance > -0.5 && distance <= 0.5 ? 1 : 0) };
/** Keys' cubic with a = −0.5. @type {Filter} */
export const BICUBIC = {
  support: 2,
  weigh(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  },
};

/**
 * The weights that resample the part from `start` to `end` of `inputs` pixels to `outputs`.
 * @param {number} inputs @param {number} outputs @param {Filter} filter
 * @param {number} [start] @param {number} [end] in pixels; may be fractions, within 0 and `inputs`
 * @returns {Rows}
 */
export function resamplingRows(inputs, outputs, filter, start = 0, end = inputs) {
  const scale = Math.fround(end - start) / outputs; // Pillow has the box in float32
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const rows = makeRows(inputs, outputs, 2 * Math.ceil(support) + 1);
  for (let output = 0; output < outputs; output++) {
    const centre = start + (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(inputs, Math.trunc(centre + support + 0.5)) - first;
    const from = output * rows.reach;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      sum += rows.weights[from + tap] = filter.weigh((tap + first - centre + 0.5) * (1 / stretch));
    }
    for (let tap = 0; tap < count && sum !== 0; tap++) rows.weights[from + tap] *= 1 / sum;
    rows.starts[output] = first;
    rows.counts[output] = count;
  }
  return rows;
}

/**
 * Rows of weights 0 that take every input, to be filled.
 * @param {number} inputs @param {number} outputs @param {number} [reach] @returns {Rows}
 */
export function makeRows(inputs, outputs, reach = inputs) {
  const [starts, counts] = [new Int32Array(outputs), new Int32Array(outputs).fill(reach)];
  return { inputs, outputs, reach, starts, counts, weights: new Float64Array(outputs * reach) };
}

/**
 * A plane (down.outputs, across.outputs) from a plane (down.inputs, across.inputs).
 * @param {Float32Array} plane @param {Rows} down @param {Rows} across
 */
export function mapPlane(plane, down, across) {
  const { outputs: width, starts, counts, weights, reach } = across;
  const between = new Float32Array(down.inputs * width);
  for (let x = 0; x < width; x++) {
    const row = weights.subarray(x * reach, x * reach + counts[x]);
    for (let y = 0; y < down.inputs; y++) {
      const from = y * across.inputs + starts[x];
      let sum = 0;
      for (let tap = 0; tap < row.length; tap++) sum += plane[from + tap] * row[tap];
      between[y * width + x] = sum;
    }
  }
  const result = new Float32Array(down.outputs * width);
  const row = new Float64Array(width);
  for (let y = 0; y < down.outputs; y++) {
    row.fill(0);
    for (let tap = 0; tap < down.counts[y]; tap++) {
      const from = (down.starts[y] + tap) * width;
      const weight = down.weights[y * down.reach + tap];
      for (let x = 0; x < width; x++) row[x] += between[from + x] * weight;
    }
    result.set(row, y * width);
  }
  return result;
}

/**
 * The gradient of `mapPlane` by its plane, from the gradient by its result.
 * @param {Float32Array} gradient @param {Rows} down @param {Rows} across
 */
export function mapPlaneBackward(gradient, down, across) {
  return mapPlane(gradient, transpose(down), transpose(across));
}

/** @param {Rows} rows @returns {Rows} */
function transpose(rows) {
  const turned = makeRows(rows.outputs, rows.inputs);
  for (let output = 0; output < rows.outputs; output++) {
    for (let tap = 0; tap < rows.counts[output]; tap++) {
      turned.weights[(rows.starts[output] + tap) * rows.outputs + output] = rows.weights[output * rows.reach + tap];
    }
  }
  return turned;
}
