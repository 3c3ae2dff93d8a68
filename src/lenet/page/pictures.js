// Pictures that are opened, dropped or pasted: shown on the pad, and read by the whole chain where there is a server.

import { SIDE } from "lenet/pad.js";

const LARGEST = 50e6; // bytes

/** A picture as ink on the pad: 28 × 28 bytes, light ink on black, whatever its polarity.
 *
 * The background is the median of the border; ink is what differs from it. There is no search for digits: this
 * reads one digit on even paper. Raises an Error for files that are no picture.
 * @param {Blob} file
 * @param {(plane: Float32Array, height: number, width: number) => Uint8Array} frame MNIST's framing
 * @returns {Promise<Uint8Array>}
 */
export async function readPicture(file, frame) {
  if (file.size > LARGEST) throw new Error("too large");
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#fff"; // below transparent pixels
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const grey = toGrey(context.getImageData(0, 0, width, height).data);
  const ink = findInk(grey, height, width);
  if (bitmap.width === 28 && bitmap.height === 28) return Uint8Array.from(ink, (value) => Math.round(255 * value));
  return frame(ink, height, width);
}

function toGrey(pixels) {
  const grey = new Float32Array(pixels.length / 4);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2]) / 255;
  }
  return grey;
}

function findInk(grey, height, width) {
  const border = [];
  for (let x = 0; x < width; x++) border.push(grey[x], grey[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) border.push(grey[y * width], grey[y * width + width - 1]);
  border.sort((a, b) => a - b);
  const paper = border[border.length >> 1];
  const differences = grey.map((value) => Math.abs(value - paper));
  const largest = Math.max(differences.reduce((most, value) => Math.max(most, value), 0), 0.1);
  const noise = 0.2 * largest; // shades of paper are no ink
  return differences.map((value) => Math.max(0, (value - noise) / (largest - noise)));
}

/** The reading of a picture by the server, with the steps of the chain.
 * @param {Blob} picture
 * @param {string} name
 * @returns {Promise<any>} the row of `lenet predict --json`, with `steps`
 */
export async function readOnServer(picture, name) {
  const form = new FormData();
  form.append("pictures", picture, name);
  const answer = await fetch("v1/predict?steps=true", { method: "POST", body: form });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error ?? answer.statusText);
  return content[0];
}

/** The pad as a picture: dark ink on white paper.
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob>}
 */
export function makePicture(canvas) {
  const paper = document.createElement("canvas");
  paper.width = paper.height = SIDE;
  const context = /** @type {CanvasRenderingContext2D} */ (paper.getContext("2d"));
  context.drawImage(canvas, 0, 0);
  context.globalCompositeOperation = "destination-over"; // black below the white ink, then its negative
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  context.globalCompositeOperation = "difference";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, SIDE, SIDE);
  return new Promise((done) => paper.toBlob((blob) => done(/** @type {Blob} */ (blob)), "image/png"));
}
