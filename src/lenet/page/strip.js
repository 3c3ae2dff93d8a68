// A drawing as the line network sees it: a strip of 32 rows, cut as images/strips.py cuts a line.
import { ROWS } from "lenet/line.js";
import { makeRows, mapPlane } from "lenet/resampling.js";

/** @typedef {{area: number, left: number, top: number, right: number, bottom: number}} Component */
/** @typedef {{image: Uint8Array, width: number}} Strip image: (ROWS, width), white on black */

const TEXT_HEIGHT = 20; // rows: the usual height of a component
const MAX_EXTENT = 27; // rows: the height of the whole line
const MARGIN = 8; // columns on both sides
const MAX_COLUMNS = 2048;
const WIDTHS = 16; // columns: a strip is padded to a multiple, as in reading
const LEVEL = 0.7; // quantile of the ink that becomes full ink
const COVERED = 0.4; // of the largest share of ink in a pixel: pixels of the strip that count as ink
const INK = 0.45; // what is ink in a drawing
const [MIN_BODY, DOT] = [0.35, 0.3]; // text heights: smaller components are no digits, or dots and dirt

/**
 * The strip of all ink in a drawing, 0 to 1; null where there is none.
 * @param {Float32Array} plane (height, width) @param {number} height @param {number} width
 * @returns {Strip | null}
 */
export function cutStrip(plane, height, width) {
  const components = findComponents(plane, height, width);
  if (!components.length) return null;
  const usual = findHeight(components);
  const bodies = components.filter((one) => measureSide(one) >= MIN_BODY * usual);
  const text = findHeight(bodies);
  const line = enclose(bodies);
  const isNear = ({ left, top, right, bottom }) =>
    Math.max(line.left - left, line.top - top, right - line.right, bottom - line.bottom) <= text / 2;
  const kept = components.filter(
    (one) => bodies.includes(one) || (measureSide(one) >= DOT * text && isNear(one)),
  );
  const { left, top, right, bottom } = enclose(kept);
  const [wide, high] = [right - left, bottom - top];
  const scale = Math.min(TEXT_HEIGHT / text, MAX_EXTENT / high, (MAX_COLUMNS - 2 * MARGIN) / wide);
  const columns = Math.ceil(wide * scale) + 2 * MARGIN;
  const down = sampleRows(height, ROWS, (top + bottom) / 2 - ROWS / 2 / scale, 1 / scale);
  const across = sampleRows(width, columns, (left + right) / 2 - columns / 2 / scale, 1 / scale);
  const grey = mapPlane(plane, down, across);
  const cover = mapPlane(plane.map((value) => (value > INK ? 1 : 0)), down, across);
  const least = COVERED * cover.reduce((most, value) => Math.max(most, value));
  const level = Math.max(findQuantile(grey.filter((_, place) => cover[place] > least), LEVEL), 1e-3);
  const padded = Math.ceil(columns / WIDTHS) * WIDTHS;
  const image = new Uint8Array(ROWS * padded);
  grey.forEach((value, place) => {
    const to = Math.floor(place / columns) * padded + (place % columns);
    image[to] = Math.round(Math.min(Math.max(value / level, 0), 1) * 255);
  });
  return { image, width: padded };
}

/** The usual height of the components of a drawing, in pixels; 0 where there is no ink.
 * @param {Float32Array} plane (height, width) @param {number} height @param {number} width
 */
export function measureHeight(plane, height, width) {
  const components = findComponents(plane, height, width);
  return components.length ? findHeight(components) : 0;
}

/**
 * Connected pixels of ink, also diagonally.
 * @param {Float32Array} plane @param {number} height @param {number} width @returns {Component[]}
 */
function findComponents(plane, height, width) {
  const open = Uint8Array.from(plane, (value) => (value > INK ? 1 : 0));
  const components = [];
  for (let first = open.indexOf(1); first >= 0; first = open.indexOf(1, first)) {
    const found = { area: 0, left: width, top: height, right: 0, bottom: 0 };
    const stack = [first];
    open[first] = 0;
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      const [y, x] = [Math.floor(place / width), place % width];
      found.area++;
      [found.left, found.right] = [Math.min(found.left, x), Math.max(found.right, x + 1)];
      [found.top, found.bottom] = [Math.min(found.top, y), Math.max(found.bottom, y + 1)];
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          if (!open[row * width + column]) continue;
          open[row * width + column] = 0;
          stack.push(row * width + column);
        }
      }
    }
    components.push(found);
  }
  return components;
}

/** The box of several components. @param {Component[]} components */
function enclose(components) {
  const [left, top] = [components.map((one) => one.left), components.map((one) => one.top)];
  const [right, bottom] = [components.map((one) => one.right), components.map((one) => one.bottom)];
  return { left: Math.min(...left), top: Math.min(...top), right: Math.max(...right), bottom: Math.max(...bottom) };
}

/** @param {Component} component */
const measureSide = ({ left, top, right, bottom }) => Math.max(right - left, bottom - top);

/** The median height, weighted by area. @param {Component[]} components */
function findHeight(components) {
  const sorted = components.toSorted((one, other) => one.bottom - one.top - (other.bottom - other.top));
  const half = components.reduce((sum, { area }) => sum + area, 0) / 2;
  let sum = 0;
  const middle = /** @type {Component} */ (sorted.find(({ area }) => (sum += area) >= half));
  return middle.bottom - middle.top;
}

/**
 * Weights that average a pixel of the strip over its area, by bilinear samples less than a pixel apart.
 * @param {number} inputs @param {number} outputs @param {number} start @param {number} step in pixels of the drawing
 */
function sampleRows(inputs, outputs, start, step) {
  const finer = Math.max(1, Math.ceil(step - 0.01));
  const rows = makeRows(inputs, outputs, finer + 2);
  for (let output = 0; output < outputs; output++) {
    const middles = Array.from({ length: finer }, (_, k) => start + (output + (k + 0.5) / finer) * step - 0.5);
    const first = Math.min(Math.max(Math.floor(middles[0]), 0), inputs);
    rows.starts[output] = first;
    rows.counts[output] = Math.min(rows.reach, inputs - first);
    for (const middle of middles) {
      const below = Math.floor(middle);
      for (const place of [below, below + 1]) { // outside of the drawing is paper
        if (place < 0 || place >= inputs) continue;
        rows.weights[output * rows.reach + place - first] += (1 - Math.abs(middle - place)) / finer;
      }
    }
  }
  return rows;
}

/** As NumPy's, between two values. @param {Float32Array} values @param {number} share */
function findQuantile(values, share) {
  const sorted = values.toSorted();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
