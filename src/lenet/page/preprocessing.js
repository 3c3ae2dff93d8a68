// Pixels on their way to the first convolution: fitted in size, their contrast normalised, standardised.
// The same as models/preprocessing.py, and its backward pass.
import { makeRows, mapPlane, mapPlaneBackward, resamplingRows, TRIANGLE } from "lenet/resampling.js";

/** @typedef {import("lenet/config.js").Config} Config */
/** @typedef {import("lenet/resampling.js").Rows} Rows */

const MIN_CONTRAST = 0.1; // standard deviation of pixels 0..1 around: what is flatter is paper and stays flat

/**
 * The input of the network (input_size, input_size) from pixels 0..1 (height, width).
 * @param {Float32Array} pixels @param {number} height @param {number} width @param {Config} config
 */
export function prepare(pixels, height, width, config) {
  const fitted = fitWithin(pixels, height, width, config);
  const contrast = config.contrast_sigma ? normaliseContrast(fitted, config).contrast : fitted;
  return contrast.map((value) => (value - config.pixel_mean) / config.pixel_std);
}

/**
 * The gradient of `prepare` by its pixels (height, width), from the gradient by its result.
 * @param {Float32Array} gradient @param {Float32Array} pixels @param {number} height @param {number} width
 * @param {Config} config
 */
export function prepareBackward(gradient, pixels, height, width, config) {
  let values = gradient.map((value) => value / config.pixel_std);
  if (config.contrast_sigma) values = normaliseContrastBackward(values, fitWithin(pixels, height, width, config), config);
  const inner = config.input_size - 2 * config.margin;
  return fitBackward(withoutMargin(values, config), height, width, { ...config, input_size: inner });
}

/**
 * Pixels fitted into the square of the network within its margin.
 * @param {Float32Array} pixels @param {number} height @param {number} width @param {Config} config
 */
function fitWithin(pixels, height, width, config) {
  const { input_size: side, margin } = config;
  const inner = side - 2 * margin;
  const fitted = fit(pixels, height, width, { ...config, input_size: inner });
  if (!margin) return fitted;
  const square = new Float32Array(side * side);
  for (let y = 0; y < inner; y++) square.set(fitted.subarray(y * inner, (y + 1) * inner), (y + margin) * side + margin);
  return square;
}

/** @param {Float32Array} square @param {Config} config */
function withoutMargin(square, { input_size: side, margin }) {
  if (!margin) return square;
  const inner = side - 2 * margin;
  const result = new Float32Array(inner * inner);
  for (let y = 0; y < inner; y++) {
    const from = (y + margin) * side + margin;
    result.set(square.subarray(from, from + inner), y * inner);
  }
  return result;
}

/**
 * Pixels 0..1, padded or resized to the square of the network.
 * @param {Float32Array} pixels @param {number} height @param {number} width @param {Config} config
 */
export function fit(pixels, height, width, { input_size: side, fit: how }) {
  if (height === side && width === side) return pixels;
  if (!isPadded(height, width, side, how)) {
    return mapPlane(pixels, resamplingRows(height, side, TRIANGLE), resamplingRows(width, side, TRIANGLE));
  }
  const { top, left } = findPlace(height, width, side);
  const square = new Float32Array(side * side);
  for (let y = 0; y < height; y++) square.set(pixels.subarray(y * width, (y + 1) * width), (y + top) * side + left);
  return square;
}

/** @param {Float32Array} gradient @param {number} height @param {number} width @param {Config} config */
function fitBackward(gradient, height, width, { input_size: side, fit: how }) {
  if (height === side && width === side) return gradient;
  if (!isPadded(height, width, side, how)) {
    return mapPlaneBackward(gradient, resamplingRows(height, side, TRIANGLE), resamplingRows(width, side, TRIANGLE));
  }
  const { top, left } = findPlace(height, width, side);
  const result = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const from = (y + top) * side + left;
    result.set(gradient.subarray(from, from + width), y * width);
  }
  return result;
}

/**
 * Larger images are always resized.
 * @param {number} height @param {number} width @param {number} side @param {string} how
 */
function isPadded(height, width, side, how) {
  return how === "pad" && height <= side && width <= side;
}

/** @param {number} height @param {number} width @param {number} side */
function findPlace(height, width, side) {
  return { top: Math.floor((side - height) / 2), left: Math.floor((side - width) / 2) };
}

/**
 * Local contrast normalisation: how far each pixel is from the mean around it, in standard deviations around it.
 * @param {Float32Array} pixels @param {Config} config
 */
function normaliseContrast(pixels, { input_size: side, contrast_sigma: sigma }) {
  const rows = gaussianRows(side, sigma);
  const mean = mapPlane(pixels, rows, rows);
  const difference = pixels.map((value, place) => value - mean[place]);
  const variance = mapPlane(
    difference.map((value) => value * value),
    rows,
    rows,
  );
  const deviation = variance.map((value) => Math.sqrt(Math.max(value, MIN_CONTRAST ** 2)));
  const contrast = difference.map((value, place) => value / deviation[place]);
  return { rows, difference, variance, deviation, contrast };
}

/** @param {Float32Array} gradient @param {Float32Array} pixels @param {Config} config */
function normaliseContrastBackward(gradient, pixels, config) {
  const { rows, difference, variance, deviation } = normaliseContrast(pixels, config);
  // By the variance: d(difference · variance^-½) = −½ · difference · variance^-1½, and 0 where it is clamped.
  const byVariance = gradient.map((value, place) =>
    variance[place] >= MIN_CONTRAST ** 2 ? (-0.5 * value * difference[place]) / deviation[place] ** 3 : 0,
  );
  const spread = mapPlaneBackward(byVariance, rows, rows);
  const byDifference = gradient.map((value, place) => value / deviation[place] + 2 * difference[place] * spread[place]);
  const byMean = mapPlaneBackward(byDifference, rows, rows);
  return byDifference.map((value, place) => value - byMean[place]);
}

/** @type {{side: number, sigma: number, rows: Rows} | undefined} */
let latest; // the network that is shown asks for the same rows at every stroke

/**
 * The weight of each place along a side in the mean around each; beyond the ends everything is as at the ends.
 * @param {number} side @param {number} sigma
 */
function gaussianRows(side, sigma) {
  if (latest?.side === side && latest.sigma === sigma) return latest.rows;
  const rows = makeRows(side, side);
  for (let centre = 0; centre < side; centre++) {
    const row = rows.weights.subarray(centre * side, (centre + 1) * side);
    let sum = 0;
    for (let place = -side; place < 2 * side; place++) {
      const weight = Math.exp(-0.5 * ((place - centre) / sigma) ** 2);
      row[Math.min(Math.max(place, 0), side - 1)] += weight;
      sum += weight;
    }
    row.forEach((weight, place) => (row[place] = weight / sum));
  }
  latest = { side, sigma, rows };
  return rows;
}
