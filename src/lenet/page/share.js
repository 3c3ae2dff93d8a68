// The image and the network of the page as a program: copy it as Python or as a curl command.

import { toText } from "lenet/address.js";
import { makePicture } from "lenet/pictures.js";

/** Python that classifies the image with the same checkpoint.
 * @param {string} checkpoint a name or a file
 * @param {Uint8Array} image 28 × 28
 */
export function writePython(checkpoint, image) {
  const lines = toText(image).match(/.{1,88}/g) ?? [];
  return `from base64 import urlsafe_b64decode

import lenet
import torch

IMAGE = """
${lines.join("\n")}
"""
pixels = urlsafe_b64decode("".join(IMAGE.split()) + "==")
image = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(1, 1, 28, 28)
checkpoint = lenet.load(${JSON.stringify(checkpoint)})
for name, probability in zip(checkpoint.classes, checkpoint.model.probabilities(image)[0].tolist()):
    print(name, f"{probability:.1%}")
`;
}

/** A command that sends the picture to a server.
 * @param {string} address of the server
 * @param {string} picture a PNG in base64
 */
export function writeCurl(address, picture) {
  return `base64 --decode <<'PICTURE' | curl --form 'pictures=@-;type=image/png;filename=drawing.png' ${address}v1/predict
${(picture.match(/.{1,76}/g) ?? []).join("\n")}
PICTURE
`;
}

/** Connect the buttons that copy the image as a program.
 * @param {any} page
 */
export function setUpSharing(page) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("code"));
  const text = /** @type {HTMLTextAreaElement} */ (dialog.querySelector("textarea"));
  const title = /** @type {HTMLElement} */ (document.getElementById("code-title"));
  const copy = /** @type {HTMLButtonElement} */ (document.getElementById("copy"));
  const open = (key, content) => {
    title.textContent = page.texts.get(key);
    copy.textContent = page.texts.get("copy");
    text.value = content;
    dialog.showModal();
    text.select();
  };
  document.getElementById("python")?.addEventListener("click", () => {
    open("pythonTitle", writePython(page.state.model, page.image));
  });
  document.getElementById("curl")?.addEventListener("click", async () => {
    const picture = new Uint8Array(await (await makePicture(page.pad.ink.canvas)).arrayBuffer());
    const address = page.api ? new URL(".", location.href).href : "http://127.0.0.1:8000/";
    open("curlTitle", writeCurl(address, btoa(String.fromCharCode(...picture))));
  });
  copy.addEventListener("click", async () => {
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
    } catch {
      document.execCommand("copy"); // where the page may not use the clipboard itself
    }
    copy.textContent = page.texts.get("copied");
  });
}
