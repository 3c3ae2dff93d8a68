// The convolutions of 1989: in steps of 2, with -1 around their input, and with a bias for each unit.
import { POOL } from "lenet/config.js";
import { convolve, convolveBackward } from "lenet/operations.js";

/** @typedef {import("lenet/operations.js").Convolution} Convolution */

/**
 * The maps (outputs, n, n), n = ⌊(side + 2·padding − kernel) / 2⌋ + 1, of maps (inputs, side, side).
 * @param {Float32Array} maps @param {Float32Array} weight (outputs, inputs, kernel, kernel)
 * @param {Float32Array} bias (outputs, n, n) @param {Convolution} sizes
 */
export function stride(maps, weight, bias, sizes) {
  const every = convolve(maps, weight, new Float32Array(sizes.outputs), sizes);
  const places = placeSteps(sizes);
  return bias.map((value, unit) => value + every[places[unit]]);
}

/**
 * The gradient of `stride` by its maps, from the gradient by its result.
 * @param {Float32Array} gradient @param {Float32Array} weight @param {Convolution} sizes
 */
export function strideBackward(gradient, weight, sizes) {
  const out = sizes.side + 2 * sizes.padding - sizes.kernel + 1;
  const every = new Float32Array(sizes.outputs * out * out);
  const places = placeSteps(sizes);
  gradient.forEach((value, unit) => {
    every[places[unit]] = value;
  });
  return convolveBackward(every, weight, sizes);
}

/** For each unit, its place in a convolution that goes in steps of 1. @param {Convolution} sizes */
function placeSteps({ outputs, side, kernel, padding }) {
  const out = side + 2 * padding - kernel + 1;
  const half = Math.ceil(out / POOL);
  return Int32Array.from({ length: outputs * half * half }, (_, unit) => {
    const [row, x] = [Math.floor(unit / half), unit % half];
    return (Math.floor(row / half) * out + POOL * (row % half)) * out + POOL * x;
  });
}
