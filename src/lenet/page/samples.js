// The images that the page carries: ten to show, all of them to count right answers on.

import { greyImage } from "lenet/corrections.js";

const SIZE = 784; // bytes of an image

/** @param {Map<string, Uint8Array>} files
 * @returns {{images: Uint8Array[], labels: number[], classes: string[]}}
 */
export function readSamples(files) {
  const bytes = files.get("samples.bin");
  if (!bytes) return { images: [], labels: [], classes: [] };
  const { labels, classes } = JSON.parse(new TextDecoder().decode(files.get("samples.json")));
  return { labels, classes, images: labels.map((_, i) => bytes.slice(i * SIZE, (i + 1) * SIZE)) };
}

/** A button for the first image of each class.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {{images: Uint8Array[], labels: number[], classes: string[]}} samples
 * @param {(image: Uint8Array) => void} show
 */
export function listSamples(texts, samples, show) {
  const shown = [...new Set(samples.labels)].sort((a, b) => a - b).slice(0, 10);
  const buttons = shown.map((label, i) => {
    const image = samples.images[samples.labels.indexOf(label)];
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", texts.get("sample", { number: i + 1, label: samples.classes[label] }));
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 28;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.putImageData(greyImage(context, image), 0, 0);
    button.append(canvas);
    button.addEventListener("click", () => show(image));
    return button;
  });
  document.getElementById("samples")?.replaceChildren(...buttons);
}
