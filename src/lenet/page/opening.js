// What is opened, dropped or pasted: a checkpoint becomes a network of the page, a picture is read.

import { LINE_FORMAT, LineNetwork } from "lenet/line.js";
import { FORMAT, openSafetensors, parseCheckpoint } from "lenet/safetensors.js";
import { Network } from "lenet/network.js";
import { frameDigit } from "lenet/framing.js";
import { readOnServer, readPicture } from "lenet/pictures.js";

/** @typedef {{texts: import("lenet/texts.js").Texts, api: boolean, say: (text: string) => void,
 *   addNetwork: (name: string, network: any) => void, showImage: (image: Uint8Array) => void}} Page */

/** Listen for files: the button, drag and drop, and paste.
 * @param {(file: File) => void} open
 */
export function listenForFiles(open) {
  const input = /** @type {HTMLInputElement} */ (document.getElementById("file"));
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) open(file);
    input.value = "";
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    for (const file of event.dataTransfer?.files ?? []) open(file);
  });
  document.addEventListener("paste", (event) => {
    for (const file of event.clipboardData?.files ?? []) open(file);
  });
}

/** Open one file.
 * @param {File} file
 * @param {Page} page
 */
export async function openFile(file, page) {
  if (/\.(safetensors|pt|pth|ckpt|pkl)$/i.test(file.name)) await openCheckpoint(file, page);
  else await openPicture(file, page);
}

async function openCheckpoint(file, page) {
  const name = file.name.replace(/\.[^.]+$/, "");
  try {
    if (file.size > 64e6) throw { code: "not-safetensors" };
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isLine = openSafetensors(bytes, [FORMAT, LINE_FORMAT]).card.format === LINE_FORMAT;
    page.addNetwork(name, isLine ? new LineNetwork(bytes) : new Network(parseCheckpoint(bytes)));
    page.say(page.texts.get("loaded", { name }));
  } catch (error) {
    const key = `checkpoint.${/** @type {any} */ (error).code ?? "other"}`;
    page.say(page.texts.get(key, { name: file.name }));
  }
}

async function openPicture(file, page) {
  clearSteps();
  if (page.api && (await showServerReading(file, file.name, page))) return;
  try {
    page.showImage(await readPicture(file, frameDigit));
    if (!page.api) page.say(page.texts.get("offlinePicture"));
  } catch {
    page.say(page.texts.get("notAPicture", { name: file.name }));
  }
}

/** Have the server read a picture; show its answer, every step, and the first digit in the network.
 * @param {Blob} picture
 * @param {string} name
 * @param {Page} page
 * @returns {Promise<boolean>} whether a digit was found
 */
export async function showServerReading(picture, name, page) {
  const { texts } = page;
  try {
    const row = await readOnServer(picture, name);
    const digit = row.steps?.find((step) => step.name === "digit");
    if (digit) page.showImage(await readImage(digit.image));
    if (row.error) page.say(texts.get("serverFailed", { error: row.error }));
    else if (row.rejected) page.say(texts.get("serverRejects", { reason: row.reason ?? "–" }));
    else page.say(texts.get("serverRead", { text: row.text, share: `${(100 * row.confidence).toFixed(1)} %` }));
    showSteps(row.steps ?? []);
    return Boolean(digit);
  } catch (error) {
    page.say(texts.get("serverFailed", { error: /** @type {Error} */ (error).message }));
    return false;
  }
}

/** The bytes of a digit of 28 × 28 pixels.
 * @param {string} address a `data:` URL
 */
async function readImage(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(28, 28).getContext("2d"));
  context.drawImage(picture, 0, 0, 28, 28);
  return context.getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0);
}

function showSteps(steps) {
  const element = /** @type {HTMLElement} */ (document.getElementById("steps"));
  element.replaceChildren(
    ...steps.map(({ name, reason, image }) => {
      const figure = document.createElement("figure");
      const picture = document.createElement("img");
      picture.src = image;
      picture.alt = name;
      const caption = document.createElement("figcaption");
      caption.textContent = reason ? `${name}: ${reason}` : name;
      figure.append(picture, caption);
      return figure;
    }),
  );
}

export const clearSteps = () => showSteps([]);
