// One number of the network taken apart: what it saw, what it multiplied by, and the sum.

import { arrange, findLargest, paint, write } from "lenet/colours.js";
import { isActivation, isConvolution, isPooling, placeOf, shapeOf, weightsOf } from "lenet/geometry.js";

const MOST_ROWS = 16; // input maps or units that are listed

export class Inspector {
  /**
   * @param {HTMLElement} element
   * @param {import("lenet/texts.js").Texts} texts
   * @param {{edit: (parameter: string, index: number, value: number) => void, mute: (layer: string, map: number) => void,
   *          slide: () => void, release: () => void}} events
   */
  constructor(element, texts, events) {
    this.element = element;
    this.texts = texts;
    this.events = events;
  }

  /** Show how a number came about.
   * @param {any} network
   * @param {any} result
   * @param {import("lenet/geometry.js").Unit | null} unit
   * @param {{pinned: boolean, editable: boolean}} how whether the number stays, and its weights can be changed
   * @param {Uint32Array} palette
   */
  show(network, result, unit, { pinned, editable }, palette) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.parameter;
    if (focused && editable) return this.refresh(network, result, unit);
    this.palette = palette;
    const layer = unit && network.layers.find(({ name }) => name === unit.layer);
    if (!layer) {
      this.element.replaceChildren(paragraph(this.texts.get("inspectorHelp"), "note"));
      return undefined;
    }
    const value = result.outputs.get(unit.layer)[unit.index];
    this.element.replaceChildren(
      this.head(layer, unit, value),
      ...this.explain(network, result, layer, unit, editable),
      ...(pinned ? [this.buttons(network, layer, unit)] : []),
    );
    return undefined;
  }

  /** Only the value: the weights that are being edited stay as they are. */
  refresh(network, result, unit) {
    const value = result.outputs.get(unit.layer)[unit.index];
    const shown = this.element.querySelector(".value");
    if (shown) shown.textContent = write(value);
  }

  head(layer, unit, value) {
    const { map, y, x } = placeOf(layer, unit.index);
    const [, height, width] = shapeOf(layer);
    const title = paragraph("", "unit");
    const place = height * width > 1 ? "placeInMap" : "placeUnit";
    title.append(bold(layer.name), ` ${this.texts.get(place, { map: map + 1, row: y + 1, column: x + 1 })} = `);
    const number = bold(write(value));
    number.className = "value";
    title.append(number);
    return title;
  }

  explain(network, result, layer, unit, editable) {
    if (layer.kind === "Input") return [paragraph(this.texts.get("explain.Input"), "note")];
    const number = network.layers.indexOf(layer);
    const before = network.layers[number - 1];
    if (isActivation(layer.kind) || layer.kind === "Flatten" || layer.kind === "Dropout") {
      const input = result.outputs.get(before.name)[unit.index];
      const output = result.outputs.get(layer.name)[unit.index];
      const name = layer.kind.toLowerCase();
      const sentence = `${name}(${write(input)}) = ${write(output)}`;
      return [paragraph(sentence, "sum"), paragraph(this.texts.get(`explain.${layer.kind}`), "note")];
    }
    const sum = network.arithmetic(result, layer.name, unit.index);
    if (isPooling(layer.kind)) {
      const [{ patch, kernel, height, width }] = sum.inputs;
      if (layer.kind === "Subsampling") {
        const added = `(${Array.from(patch, write).join(" + ")}) × ${write(kernel[0])}`;
        return [
          this.picture(patch, height, width),
          paragraph(`${added} + ${this.texts.get("bias")} ${write(sum.bias)} = ${write(sum.sum)}`, "sum"),
          paragraph(this.texts.get("explain.Subsampling"), "note"),
        ];
      }
      const operation = layer.kind === "MaxPool2d" ? "max" : "mean";
      return [
        this.picture(patch, height, width),
        paragraph(`${operation}(${Array.from(patch, write).join(", ")}) = ${write(sum.output)}`, "sum"),
        paragraph(this.texts.get(`explain.${layer.kind}`), "note"),
      ];
    }
    const parts = isConvolution(layer.kind)
      ? this.listMaps(network, layer, unit, sum, editable)
      : this.listUnits(network, before, layer, unit, sum, editable);
    const total = sum.sum - sum.bias;
    const note = layer.kind === "RadialBasis" ? [paragraph(this.texts.get("explain.RadialBasis"), "note")] : [];
    const formula = `${write(total)} + ${this.texts.get("bias")} ${write(sum.bias)} = ${write(sum.sum)}`;
    return [parts, paragraph(`Σ = ${formula}`, "sum"), ...note, ...this.probability(network, result, layer, unit)];
  }

  probability(network, result, layer, unit) {
    if (layer.name !== "output") return [];
    const share = result.probabilities[unit.index];
    const values = { name: network.classes[unit.index], share: `${(100 * share).toFixed(1)} %` };
    return [paragraph(this.texts.get("probabilityOf", values), "note")];
  }

  /** patch × kernel = sum, for each input map; the strongest with its numbers. */
  listMaps(network, layer, unit, sum, editable) {
    const list = document.createElement("div");
    const inputs = sum.inputs.slice().sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)).slice(0, MOST_ROWS);
    const largest = Math.max(...inputs.map(({ patch }) => findLargest(patch)));
    const kernelLargest = Math.max(...inputs.map(({ kernel }) => findLargest(kernel)));
    inputs.forEach((input, i) => {
      const row = document.createElement("div");
      row.className = "product";
      row.append(
        small(inputs.length > 1 ? this.texts.get("mapNumber", { map: input.map + 1 }) : ""),
        this.picture(input.patch, input.height, input.width, largest),
        "×",
        this.picture(input.kernel, input.height, input.width, kernelLargest),
        `= ${write(input.sum)}`,
      );
      list.append(row);
      if (i === 0 && editable) list.append(this.numbers(layer, input));
    });
    return list;
  }

  /** The patch as numbers, and the kernel as numbers that can be changed. */
  numbers(layer, input) {
    const name = `${layer.name}.weight`;
    const first = input.place;
    const details = document.createElement("details");
    details.open = true;
    const summary = document.createElement("summary");
    summary.textContent = this.texts.get("editKernel");
    const table = document.createElement("table");
    table.className = "kernel";
    for (let y = 0; y < input.height; y++) {
      const row = table.insertRow();
      for (let x = 0; x < input.width; x++) {
        const k = y * input.width + x;
        const cell = row.insertCell();
        cell.append(small(write(input.patch[k])), this.editor(name, first + k, input.kernel[k]));
      }
    }
    details.append(summary, table);
    return details;
  }

  /** The inputs of a dense layer that count most: input × weight = product. */
  listUnits(network, before, layer, unit, sum, editable) {
    const table = document.createElement("table");
    table.className = "units";
    const largest = Math.max(...sum.inputs.map(({ sum: product }) => Math.abs(product)), 1e-9);
    const count = network.parameters.get(`${layer.name}.weight`).length / layer.shape[0];
    for (const { map: index, patch, kernel, sum: product } of sum.inputs.slice(0, MOST_ROWS)) {
      const row = table.insertRow();
      row.insertCell().append(small(`${before.name} ${index + 1}`));
      row.insertCell().append(write(patch[0]));
      row.insertCell().append(layer.kind === "RadialBasis" ? "−" : "×");
      const at = unit.index * count + index;
      const cell = row.insertCell();
      cell.append(editable ? this.editor(`${layer.name}.weight`, at, kernel[0]) : write(kernel[0]));
      row.insertCell().append(layer.kind === "RadialBasis" ? `→ ${write(product)}` : `= ${write(product)}`);
      const bar = document.createElement("span");
      bar.className = product < 0 ? "bar negative" : "bar";
      bar.style.width = `${(100 * Math.abs(product)) / largest}%`;
      row.insertCell().append(bar);
    }
    return table;
  }

  editor(parameter, index, value) {
    const input = document.createElement("input");
    input.type = "number";
    input.step = "0.1";
    input.value = String(Number(value.toFixed(3)));
    input.dataset.parameter = parameter;
    input.setAttribute("aria-label", this.texts.get("weightLabel", { name: `${parameter}[${index}]` }));
    input.addEventListener("input", () => {
      if (input.value !== "" && Number.isFinite(input.valueAsNumber)) {
        this.events.edit(parameter, index, Math.max(-1000, Math.min(1000, input.valueAsNumber)));
      }
    });
    return input;
  }

  buttons(network, layer, unit) {
    const row = document.createElement("div");
    row.className = "buttons";
    const [, height, width] = shapeOf(layer);
    if (height * width > 1) row.append(button("slide", this.texts.get("slide"), () => this.events.slide()));
    const { map } = placeOf(layer, unit.index);
    const muted = network.muted.get(layer.name)?.has(map);
    if (layer.name !== "input") {
      const text = this.texts.get(muted ? "unmute" : "mute", { map: map + 1 });
      row.append(button("mute", text, () => this.events.mute(layer.name, map)));
    }
    row.append(button("release", this.texts.get("release"), () => this.events.release()));
    const source = weightsOf(network, layer.name);
    if (source && source.name !== layer.name) row.append(small(this.texts.get("weightsIn", { name: source.name })));
    return row;
  }

  picture(values, height, width, largest = findLargest(values)) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.className = "patch";
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    paint(context, values, arrange(1, height, width), () => largest, this.palette);
    return canvas;
  }
}

function paragraph(text, kind) {
  const element = document.createElement("p");
  element.className = kind;
  element.textContent = text;
  return element;
}

function bold(text) {
  const element = document.createElement("b");
  element.textContent = text;
  return element;
}

function small(text) {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
}

function button(id, text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.dataset.key = id;
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}
