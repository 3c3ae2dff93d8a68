// Corrections: the reader says which digit it was; the page keeps them for a download, the server on request.

import { makeArchive, makePng } from "lenet/corrections.js";

/** Build the buttons of the right labels.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {{classes: string[], image: () => Uint8Array, corrections: import("lenet/corrections.js").Correction[]}} source
 * corrections: those that were made; new ones are added
 */
export function setUpTeaching(texts, source) {
  const labels = element("labels");
  const status = element("corrections");
  const download = element("download");
  const { corrections } = source;
  labels.replaceChildren(
    ...source.classes.map((label) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-label", texts.get("correctWith", { label }));
      button.addEventListener("click", async () => {
        const image = source.image().slice();
        if (!image.some(Boolean)) return;
        corrections.push({ image, label });
        download.hidden = false;
        const agreed = /** @type {HTMLInputElement} */ (element("keep")).checked;
        const kept = agreed && (await keep(image, label));
        status.textContent = texts.get(kept ? "correctionKept" : "corrected", { count: corrections.length, label });
      });
      return button;
    }),
  );
  download.onclick = async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await makeArchive(corrections));
    link.download = "corrections.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
}

/** Ask the server whether it keeps corrections; the reader may then agree to it. */
export async function offerKeeping() {
  const { keeps_corrections: keeps } = await (await fetch("v1/model")).json();
  element("keeping").hidden = !keeps;
}

/** Send a correction to the server; false where it could not keep it. */
async function keep(image, label) {
  const address = `v1/corrections?label=${encodeURIComponent(label)}`;
  try {
    return (await fetch(address, { method: "POST", body: await makePng(image) })).ok;
  } catch {
    return false;
  }
}

const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
