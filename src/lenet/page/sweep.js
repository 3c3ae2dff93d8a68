// Several digits in a row, read by the line network: the strip, the frames below it, and the text.
import { arrange, paint } from "lenet/colours.js";
import { CLASSES, COLUMNS_PER_FRAME, ROWS } from "lenet/line.js";
import { PEN, SIDE } from "lenet/pad.js";
import { cutStrip, measureHeight } from "lenet/strip.js";
import { findBestPath, measureText, softmaxFrames } from "lenet/transcription.js";

const PEN_SHARE = 0.12; // of the height of the digits
const FINEST = 3; // pixels

/**
 * `chances` are the probabilities of the frames (frames, CLASSES).
 * @typedef {{strip: import("lenet/strip.js").Strip, chances: Float32Array, text: string, confidence: number,
 *   digits: import("lenet/transcription.js").Named[]}} LineReading
 */

/** Read a drawing that holds several digits; null where it holds one or none, or there is no line network.
 * @param {import("lenet/line.js").LineNetwork | null} network
 * @param {import("lenet/pad.js").Pad} pad
 * @returns {LineReading | null}
 */
function readLine(network, pad) {
  if (!network || !pad.strokes.length) return null;
  // The pen of the pad fits one large digit. Small ones are drawn anew with a pen as fine as the network knows.
  const height = measureHeight(pad.readPlane(), SIDE, SIDE) - PEN;
  const strip = cutStrip(pad.readFine(Math.min(PEN, Math.max(FINEST, PEN_SHARE * height))), SIDE, SIDE);
  if (!strip) return null;
  const chances = softmaxFrames(network.forward(strip.image, strip.width));
  const digits = findBestPath(chances);
  if (digits.length < 2) return null;
  const labels = digits.map(({ label }) => label);
  return { strip, chances, digits, text: labels.join(""), confidence: measureText(chances, labels) };
}

/** Read a drawing; show the strip, a row of probabilities for each class, and the digits at their frames.
 * @param {import("lenet/line.js").LineNetwork | null} network
 * @param {import("lenet/pad.js").Pad} pad
 * @param {Uint32Array} palette
 */
export function showLine(network, pad, palette) {
  const reading = readLine(network, pad);
  drawSweep(reading, palette);
  return reading;
}

/**
 * @param {LineReading | null} reading
 * @param {Uint32Array} palette
 */
function drawSweep(reading, palette) {
  const element = (id) => /** @type {any} */ (document.getElementById(id));
  element("line").hidden = !reading;
  if (!reading) return;
  const { strip, chances, digits } = reading;
  const frames = strip.width / COLUMNS_PER_FRAME;
  const rows = Float32Array.from(chances, (_, k) => chances[(k % frames) * CLASSES + Math.floor(k / frames)]);
  for (const [id, values, height, width, largest] of /** @type {const} */ ([
    ["strip", Float32Array.from(strip.image), ROWS, strip.width, 255],
    ["frames", rows, CLASSES, frames, 1],
  ])) {
    const canvas = element(id);
    [canvas.width, canvas.height] = [width, height];
    paint(canvas.getContext("2d"), values, arrange(1, height, width), () => largest, palette);
  }
  element("named").replaceChildren(
    ...digits.map(({ label, frame }) => {
      const name = document.createElement("b");
      name.textContent = String(label);
      name.style.left = `${(100 * (frame + 0.5)) / frames}%`;
      return name;
    }),
  );
}
