// MNIST's framing of a drawn digit, the same as `frame_digit` of images/framing.py: strokes of MNIST's width,
// the longer side 20 pixels, the centre of mass at pixel (14, 14) of 28 × 28.
import { findNearest } from "lenet/distances.js";
import { BICUBIC, BOX, mapPlane, resamplingRows } from "lenet/resampling.js";

/** Values of pixels, 0 to 1. @typedef {{values: Float32Array, height: number, width: number}} Plane */

export const SIDE = 28; // pixels of an image
const DIGIT_SIDE = 20; // pixels: the longer side of a digit within its image
const CENTRE = 14.5; // pixels: the middle of pixel 14
const [MIN_STROKE, MAX_STROKE] = [2, 4]; // image pixels: the range of stroke widths
const EDGE = Math.fround(0.45); // threshold of ink
const FINE_SIDE = 96; // pixels: the size of a digit at which its strokes are measured
const { fround } = Math;

/**
 * Frame a drawing, 0 to 1, light ink on black, as MNIST's images: bytes (28, 28), all 0 where there is no ink.
 * @param {Float32Array} plane (height, width) @param {number} height @param {number} width
 * @returns {Uint8Array}
 */
export function frameDigit(plane, height, width) {
  const inked = cropInk({ values: plane, height, width });
  if (!inked) return new Uint8Array(SIDE * SIDE);
  const scale = FINE_SIDE / Math.max(inked.height, inked.width);
  const unit = FINE_SIDE / DIGIT_SIDE;
  const padded = pad(inked, 1 + Math.ceil((MIN_STROKE * unit) / scale)); // thin strokes are widened
  const size = { height: roundHalfEven(padded.height * scale), width: roundHalfEven(padded.width * scale) };
  const fine = resize(padded, Math.max(1, size.height), Math.max(1, size.width));
  const depth = measureDepth(fine);
  const stroke = measureStroke(depth);
  const wider = (clip(stroke, MIN_STROKE * unit, MAX_STROKE * unit) - stroke) / 2; // at each edge
  return frameStrokes({ ...fine, values: depth.map((value) => clip(value + fround(wider + 0.5), 0, 1)) });
}

/** The smallest part with all the ink, or null. @param {Plane} plane @returns {Plane | null} */
function cropInk({ values, height, width }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      if (values[place] <= EDGE) continue;
      if (top > y) top = y;
      bottom = y;
      if (left > x) left = x;
      if (right < x) right = x;
    }
  }
  if (bottom < 0) return null;
  const inked = { height: bottom - top + 1, width: right - left + 1 };
  const part = new Float32Array(inked.height * inked.width);
  for (let y = 0; y < inked.height; y++) {
    const from = (top + y) * width + left;
    part.set(values.subarray(from, from + inked.width), y * inked.width);
  }
  return { ...inked, values: part };
}

/** The plane in a margin of 0. @param {Plane} plane @param {number} margin @returns {Plane} */
function pad({ values, height, width }, margin) {
  const padded = { height: height + 2 * margin, width: width + 2 * margin };
  const result = new Float32Array(padded.height * padded.width);
  for (let y = 0; y < height; y++) {
    result.set(values.subarray(y * width, (y + 1) * width), (y + margin) * padded.width + margin);
  }
  return { ...padded, values: result };
}

/**
 * Bicubic and antialiased.
 * @param {Plane} plane @param {number} height @param {number} width @returns {Plane}
 */
function resize(plane, height, width) {
  const [down, across] = [resamplingRows(plane.height, height, BICUBIC), resamplingRows(plane.width, width, BICUBIC)];
  return { height, width, values: mapPlane(plane.values, down, across) };
}

/**
 * The signed distance of each pixel to the edge of the ink, positive inside.
 *
 * Antialiased (Gustavson and Strand 2011): the edge lies between pixels, where the plane crosses EDGE.
 * @param {Plane} plane @returns {Float32Array}
 */
function measureDepth({ values, height, width }) {
  const mask = new Uint8Array(values.length);
  for (let place = 0; place < values.length; place++) mask[place] = values[place] > EDGE ? 1 : 0;
  const [paper, ink] = [findNearest(mask, 0, height, width), findNearest(mask, 1, height, width)];
  const depth = new Float32Array(values.length);
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      const nearest = mask[place] ? paper[place] : ink[place];
      const column = nearest % width;
      const distance = length(column - x, (nearest - column) / width - y);
      const steepness = Math.max(measureSteepness(values, nearest, height, width), fround(1e-6));
      // How far the nearest pixel across the edge lies beyond it.
      const beyond = clip(fround(fround(values[nearest] - EDGE) / steepness), -1, 1);
      depth[place] = mask[place] ? distance + Math.min(beyond, 0) : Math.max(beyond, 0) - distance;
    }
  }
  return depth;
}

/**
 * The length of the gradient at a pixel.
 * @param {Float32Array} values @param {number} place @param {number} height @param {number} width
 */
function measureSteepness(values, place, height, width) {
  const x = place % width;
  const y = (place - x) / width;
  const [left, right] = [Math.max(x - 1, 0), Math.min(x + 1, width - 1)];
  const [above, below] = [Math.max(y - 1, 0), Math.min(y + 1, height - 1)];
  const across = fround(fround(values[y * width + right] - values[y * width + left]) / (right - left));
  const down = fround(fround(values[below * width + x] - values[above * width + x]) / (below - above));
  return fround(length(across, down));
}

/** The mean width of the strokes: 4 times the mean depth of the ink. @param {Float32Array} depth */
function measureStroke(depth) {
  const [cover, deep] = [new Float32Array(depth.length), new Float32Array(depth.length)];
  for (let place = 0; place < depth.length; place++) {
    const value = depth[place];
    const covered = clip(fround(value + 0.5), 0, 1);
    cover[place] = covered;
    deep[place] = value > 0.5 ? value : fround(covered * covered) / 2;
  }
  return (4 * sum(deep)) / sum(cover);
}

/**
 * Scale the longer side to 20 pixels and shift the centre of mass to pixel 14, in one resampling.
 * @param {Plane} pen ink, 0 to 1 @returns {Uint8Array} (28, 28)
 */
function frameStrokes(pen) {
  const { values, height, width } = pen;
  if (!values.some((value) => value > 0.5)) return new Uint8Array(SIDE * SIDE);
  const rows = { sums: new Float32Array(height), peaks: new Float32Array(height) };
  const columns = { sums: new Float32Array(width), peaks: new Float32Array(width) };
  for (let y = 0, place = 0; y < height; y++) {
    rows.sums[y] = sum(values.subarray(place, place + width));
    for (let x = 0; x < width; x++, place++) {
      const value = values[place];
      columns.sums[x] += value;
      if (value > rows.peaks[y]) rows.peaks[y] = value;
      if (value > columns.peaks[x]) columns.peaks[x] = value;
    }
  }
  const unit = Math.max(measureLength(rows.peaks), measureLength(columns.peaks)) / DIGIT_SIDE;
  const margin = Math.ceil((SIDE * unit) / 2) + 1;
  const page = pad(pen, margin);
  const down = frameAxis(page.height, margin + 0.5 + findMiddle(rows.sums), unit);
  const across = frameAxis(page.width, margin + 0.5 + findMiddle(columns.sums), unit);
  return new Uint8Array(mapPlane(page.values, down, across).map((value) => roundHalfEven(clip(value, 0, 1) * 255)));
}

/**
 * The 28 image pixels around the centre of mass, as averages of the page's.
 * @param {number} inputs @param {number} centre @param {number} unit
 */
function frameAxis(inputs, centre, unit) {
  const start = centre - CENTRE * unit;
  // Pillow takes the ends in float32.
  return resamplingRows(inputs, SIDE, BOX, fround(Math.max(0, start)), fround(Math.min(inputs, start + SIDE * unit)));
}

/** The centre of mass of a profile. @param {Float32Array} sums */
function findMiddle(sums) {
  return sums.reduce((moment, value, place) => moment + value * place, 0) / sum(sums);
}

/**
 * The sum in float32, with the roundings of NumPy's pairwise summation.
 *
 * The last bit matters: the ends of the box decide which pixels count, and symmetric drawings put them on an edge.
 * @param {Float32Array} values @returns {number}
 */
function sum(values) {
  const count = values.length;
  if (count > 128) {
    const half = Math.floor(count / 16) * 8;
    return fround(sum(values.subarray(0, half)) + sum(values.subarray(half)));
  }
  let [total, place] = [0, 0];
  if (count >= 8) {
    const lanes = values.slice(0, 8);
    for (place = 8; place + 8 <= count; place += 8) {
      for (let lane = 0; lane < 8; lane++) lanes[lane] += values[place + lane];
    }
    const pairs = [0, 2, 4, 6].map((lane) => fround(lanes[lane] + lanes[lane + 1]));
    total = fround(fround(pairs[0] + pairs[1]) + fround(pairs[2] + pairs[3]));
  }
  for (; place < count; place++) total = fround(total + values[place]);
  return total;
}

/**
 * The length in pixels of the ink along a profile of coverages; the ends count by coverage.
 * @param {Float32Array} profile
 */
function measureLength(profile) {
  const first = profile.findIndex((value) => value > 0);
  const last = profile.findLastIndex((value) => value > 0);
  return last - first - 1 + profile[first] + profile[last];
}

/** @param {number} x @param {number} y */
function length(x, y) {
  return Math.sqrt(x * x + y * y); // faster than Math.hypot
}

/** @param {number} value @param {number} low @param {number} high */
function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** To the nearest whole number, halves to the even one, as Python. @param {number} value */
function roundHalfEven(value) {
  const nearest = Math.round(value);
  return nearest - value === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
