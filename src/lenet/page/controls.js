// The controls of the page, "break it", and the guided questions.

import { isDamaged, noDamage } from "lenet/damage.js";
import { showServerReading } from "lenet/opening.js";
import { makePicture } from "lenet/pictures.js";
import { QUESTIONS } from "lenet/questions.js";

const element = (id) => /** @type {any} */ (document.getElementById(id));

/** Connect every control of the page with its state.
 * @param {any} page
 */
export function setUpControls(page) {
  const listen = (id, type, act) => element(id).addEventListener(type, act);
  for (const [id, key] of [["model", "model"], ["compare", "compare"], ["scale", "scale"]]) {
    listen(id, "change", (event) => page.change({ [key]: event.target.value }));
  }
  listen("framing", "change", (event) => page.change({ framing: event.target.checked }));
  listen("language", "click", () => page.change({ language: page.state.language === "zh" ? "en" : "zh" }));
  listen("undo", "click", () => page.pad.undo());
  listen("clear", "click", () => page.pad.clear());
  for (const id of ["pen", "eraser"]) {
    listen(id, "click", () => {
      page.pad.erasing = id === "eraser";
      element("pen").setAttribute("aria-pressed", String(!page.pad.erasing));
      element("eraser").setAttribute("aria-pressed", String(page.pad.erasing));
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      page.pad.undo();
    }
  });
  const damage = (values) => page.change({ damage: { ...page.state.damage, ...values } });
  listen("biases", "change", (event) => damage({ biases: event.target.checked }));
  listen("weight-noise", "input", (event) => damage({ weightNoise: event.target.valueAsNumber }));
  listen("image-noise", "input", (event) => damage({ imageNoise: event.target.valueAsNumber }));
  listen("reset", "click", () => damage(noDamage()));
  element("chain").hidden = !page.api;
  listen("chain", "click", async () => {
    showServerReading(await makePicture(page.pad.ink.canvas), "drawing.png", page);
  });
}

/** Show the damage of the state in the controls.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {import("lenet/damage.js").Damage} damage
 * @param {(name: string) => void} restore called with "layer.map"
 */
export function showDamage(texts, damage, restore) {
  element("biases").checked = damage.biases;
  element("weight-noise").value = damage.weightNoise;
  element("image-noise").value = damage.imageNoise;
  element("reset").disabled = !isDamaged(damage);
  element("muted").replaceChildren(
    ...damage.muted.map((name) => {
      const [layer, map] = name.split(".");
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.key = name;
      button.textContent = texts.get("restore", { name: `${layer} ${Number(map) + 1}` });
      button.addEventListener("click", () => restore(name));
      return button;
    }),
  );
}

/** Count the right answers of a network with its damage, and of the intact one, and tell both.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {import("lenet/damage.js").Score} score
 * @param {any} network
 * @param {import("lenet/damage.js").Damage} damage
 * @param {{before?: number}} memory the count of the intact network
 */
export async function showAccuracy(texts, score, network, damage, memory) {
  const text = element("accuracy");
  const { images, classes } = score.samples;
  if (!images.length || String(classes) !== String(network.classes)) {
    score.stop();
    text.textContent = texts.get("noSamples");
    return;
  }
  if (!text.textContent) text.textContent = texts.get("counting");
  const right = await score.count(network, damage.imageNoise);
  if (right === null) return;
  if (memory.before === undefined) {
    const before = isDamaged(damage) ? await score.count(network.copyIntact()) : right;
    if (before === null) return;
    memory.before = before;
  }
  text.textContent = texts.get("accuracy", { right, count: images.length, before: memory.before });
}

/** List the questions; one that is chosen prepares the page.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {import("lenet/address.js").State} state
 * @param {(changes: object) => void} change
 */
export function showQuestions(texts, state, change) {
  const list = element("question-list");
  list.replaceChildren(
    ...Object.entries(QUESTIONS).map(([id, prepare]) => {
      const row = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.key = `question-${id}`;
      button.textContent = texts.get(`question.${id}`);
      button.setAttribute("aria-expanded", String(state.question === id));
      button.addEventListener("click", () => {
        if (state.question === id) change({ question: "" });
        else change({ compare: "", framing: true, damage: noDamage(), ...prepare(state), question: id });
      });
      row.append(button);
      if (state.question === id) {
        const answer = document.createElement("p");
        answer.className = "note";
        answer.textContent = texts.get(`answer.${id}`);
        row.append(answer);
      }
      return row;
    }),
  );
}
