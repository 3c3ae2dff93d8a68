// Which part of the layer before a number was computed from.

import { describeSteps, POOL } from "lenet/config.js";

/** @typedef {{name: string, kind: string, shape: number[], parameters: number}} Layer */
/** @typedef {{layer: string, index: number}} Unit one number of a layer's output, by its flat index */
/** @typedef {{top: number, left: number, height: number, width: number}} Box */

const ACTIVATIONS = new Set(["Sigmoid", "Tanh", "ScaledTanh", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU"]);

export const isActivation = (kind) => ACTIVATIONS.has(kind);
export const isConvolution = (kind) => kind.endsWith("Conv2d");
export const isPooling = (kind) => kind.endsWith("Pool2d") || kind === "Subsampling";
export const isDense = (kind) => kind === "Linear" || kind === "RadialBasis";

/** Maps, rows and columns of a layer; a dense layer has maps of one number.
 * @param {Layer} layer
 * @returns {[number, number, number]}
 */
export function shapeOf(layer) {
  const [maps, height = 1, width = 1] = layer.shape;
  return [maps, height, width];
}

/** The map, row and column of a number.
 * @param {Layer} layer
 * @param {number} index
 */
export function placeOf(layer, index) {
  const [, height, width] = shapeOf(layer);
  const size = height * width;
  return {
    map: Math.floor(index / size),
    y: Math.floor((index % size) / width),
    x: index % width,
  };
}

/** The part of each map of the layer before that a number sees, and which maps: null means all.
 * @param {{config: any, layers: Layer[]}} network
 * @param {Unit} unit
 * @returns {{layer: Layer, box: Box, map: number | null} | null} null for the input
 */
export function windowOf(network, unit) {
  const number = network.layers.findIndex((layer) => layer.name === unit.layer);
  if (number < 1) return null;
  const layer = network.layers[number];
  const before = network.layers[number - 1];
  const { map, y, x } = placeOf(layer, unit.index);
  const [, height, width] = shapeOf(before);
  if (isConvolution(layer.kind)) {
    const side = network.config.kernel_size;
    const { padding, step } = describeSteps(network.config, layer.name);
    const box = { top: step * y - padding, left: step * x - padding, height: side, width: side };
    return { layer: before, box, map: null };
  }
  if (isPooling(layer.kind)) {
    const source = Math.floor((map * before.shape[0]) / layer.shape[0]); // in 1998, several maps may follow one
    return { layer: before, box: { top: y * POOL, left: x * POOL, height: POOL, width: POOL }, map: source };
  }
  if (layer.kind === "Flatten") {
    const place = placeOf(before, unit.index);
    return { layer: before, box: { top: place.y, left: place.x, height: 1, width: 1 }, map: place.map };
  }
  if (isDense(layer.kind)) return { layer: before, box: { top: 0, left: 0, height, width }, map: null };
  return { layer: before, box: { top: y, left: x, height: 1, width: 1 }, map };
}

/** The layer whose weights lead to `layer`: itself, or the one before its activation; null for others. */
export function weightsOf(network, name) {
  let number = network.layers.findIndex((layer) => layer.name === name);
  if (number > 0 && isActivation(network.layers[number].kind)) number -= 1;
  const layer = network.layers[number];
  return layer && (isConvolution(layer.kind) || isDense(layer.kind) || layer.kind === "Subsampling") ? layer : null;
}
