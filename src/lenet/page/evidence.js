// Which ink speaks for the answer, and which for the runner-up.

import { findLargest, paint, arrange } from "lenet/colours.js";

const GRID = arrange(1, 28, 28);

/** What the ink that is there adds to the logits: gradient times pixel, for the answer, for the runner-up, and
 * the difference of the two.
 * @param {any} network
 * @param {any} result of `network.forward`
 * @param {Uint8Array} image 28 × 28
 * @param {number} answer a class
 * @param {number} rival another class
 * @returns {Float32Array[]}
 */
export function computeEvidence(network, result, image, answer, rival) {
  const maps = [answer, rival].map((label) => {
    const weights = new Float32Array(network.config.classes);
    weights[label] = 1;
    const gradient = network.gradient(result, weights);
    return Float32Array.from(gradient, (slope, i) => (slope * image[i]) / 255);
  });
  return [...maps, Float32Array.from(maps[0], (value, i) => value - maps[1][i])];
}

/** Show the three maps with one scale of colours.
 * @param {HTMLElement} element
 * @param {Float32Array[]} maps
 * @param {string[]} captions
 * @param {Uint32Array} palette
 */
export function drawEvidence(element, maps, captions, palette) {
  if (element.children.length !== maps.length) {
    element.replaceChildren(
      ...maps.map(() => {
        const figure = document.createElement("figure");
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 28;
        canvas.setAttribute("role", "img");
        figure.append(canvas, document.createElement("figcaption"));
        return figure;
      }),
    );
  }
  const largest = Math.max(...maps.map((map) => findLargest(map)));
  maps.forEach((map, i) => {
    const [canvas, caption] = element.children[i].children;
    paint(/** @type {HTMLCanvasElement} */ (canvas).getContext("2d"), map, GRID, () => largest, palette);
    caption.textContent = captions[i];
    canvas.setAttribute("aria-label", captions[i]);
  });
}
