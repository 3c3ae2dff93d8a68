// Corrections: the reader says which digit it was; the page keeps them for a download, the server on request.

import { makeArchive, makePng } from "lenet/corrections.js";

/** Build the buttons of the right labels.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {{classes: string[], image: () => Uint8Array, keeps: boolean}} source keeps: the server takes corrections
 */
export function setUpTeaching(texts, source) {
  const labels = element("labels");
  const status = element("corrections");
  const download = element("download");
  /** @type {import("lenet/corrections.js").Correction[]} */
  const corrections = [];
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
        const kept = source.keeps && (await keep(image, label));
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

/** Send a correction to the server; false where it does not keep any. */
async function keep(image, label) {
  const form = new FormData();
  form.append("label", label);
  form.append("picture", await makePng(image), "drawing.png");
  try {
    return (await fetch("v1/corrections", { method: "POST", body: form })).ok;
  } catch {
    return false;
  }
}

const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
