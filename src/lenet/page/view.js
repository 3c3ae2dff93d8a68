// All layers of one network as images: hover a number, click to pin it, move with the arrow keys.

import { arrange, findLargest, locate, paint, write } from "lenet/colours.js";
import { placeOf, shapeOf, windowOf } from "lenet/geometry.js";

const SVG = "http://www.w3.org/2000/svg";

export class NetworkView {
  /**
   * @param {HTMLElement} element
   * @param {any} network
   * @param {{hover: (unit: import("lenet/geometry.js").Unit | null) => void,
   *          pin: (unit: import("lenet/geometry.js").Unit) => void, describe: (key: string, values?: object) => string}} events
   */
  constructor(element, network, events) {
    this.element = element;
    this.network = network;
    this.events = events;
    /** @type {Map<string, any>} */ this.parts = new Map();
    element.replaceChildren(...network.layers.map((layer) => this.build(layer)));
  }

  build(layer) {
    const [maps, height, width] = shapeOf(layer);
    const grid = arrange(maps, height, width);
    const figure = document.createElement("figure");
    figure.dataset.layer = layer.name;
    figure.dataset.kind = layer.kind;
    const caption = document.createElement("figcaption");
    const [name, shape, kind] = ["b", "small", "span"].map((tag) => document.createElement(tag));
    name.textContent = layer.name;
    shape.textContent = layer.shape.join("×");
    caption.append(name, shape, kind);
    const frame = document.createElement("div");
    frame.className = "maps";
    frame.tabIndex = 0;
    frame.setAttribute("role", "application");
    const canvas = document.createElement("canvas");
    canvas.width = grid.imageWidth;
    canvas.height = grid.imageHeight;
    const overlay = document.createElementNS(SVG, "svg");
    overlay.setAttribute("viewBox", `0 0 ${grid.imageWidth} ${grid.imageHeight}`);
    overlay.setAttribute("aria-hidden", "true");
    frame.append(canvas, overlay);
    figure.append(caption, frame);
    if (layer.name === "output") figure.append(this.nameClasses());
    const part = {
      layer, grid, frame, canvas, overlay, kind,
      context: /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")),
      selected: 0, largest: 1,
    };
    this.parts.set(layer.name, part);
    frame.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.events.hover(this.find(part, event));
    });
    frame.addEventListener("pointerleave", () => this.events.hover(null));
    frame.addEventListener("click", (event) => {
      const unit = this.find(part, event);
      if (unit) this.events.pin(unit);
    });
    frame.addEventListener("keydown", (event) => this.type(part, event));
    return figure;
  }

  nameClasses() {
    const names = document.createElement("div");
    names.className = "classes";
    names.setAttribute("aria-hidden", "true");
    names.append(
      ...this.network.classes.map((name) => {
        const label = document.createElement("span");
        label.textContent = name;
        return label;
      }),
    );
    return names;
  }

  /** The number below a pointer, null between two maps. */
  find(part, event) {
    const { grid, layer } = part;
    const box = part.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * grid.imageWidth);
    const y = Math.floor(((event.clientY - box.top) / box.height) * grid.imageHeight);
    const column = Math.floor(x / (grid.width + grid.gap));
    const row = Math.floor(y / (grid.height + grid.gap));
    const map = row * grid.columns + column;
    const inX = x - column * (grid.width + grid.gap);
    const inY = y - row * (grid.height + grid.gap);
    if (x < 0 || y < 0 || column >= grid.columns || map >= grid.maps || inX >= grid.width || inY >= grid.height) {
      return null;
    }
    return { layer: layer.name, index: (map * grid.height + inY) * grid.width + inX };
  }

  /** Arrow keys move from number to number, Enter pins. */
  type(part, event) {
    const { height, width, maps } = part.grid;
    const size = height * width;
    const down = size > 1 ? width : part.grid.columns;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -down, ArrowDown: down, PageUp: -size, PageDown: size };
    if (event.key in steps) {
      part.selected = Math.min(maps * size - 1, Math.max(0, part.selected + steps[event.key]));
      this.events.hover({ layer: part.layer.name, index: part.selected });
    } else if (event.key === "Enter") {
      this.events.pin({ layer: part.layer.name, index: part.selected });
    } else return;
    event.preventDefault();
  }

  /** Draw every layer of a result.
   * @param {any} result of the network
   * @param {"map" | "layer" | "network"} scale what shares one scale of colours
   * @param {Uint32Array} palette
   */
  draw(result, scale, palette) {
    let all = 1e-9;
    for (const [name, part] of this.parts) {
      part.largest = findLargest(result.outputs.get(name));
      if (part.largest > all) all = part.largest;
    }
    for (const [name, part] of this.parts) {
      const values = result.outputs.get(name);
      const { grid } = part;
      const size = grid.height * grid.width;
      const shared = scale === "network" ? all : part.largest;
      // A map of one number has no scale of its own.
      const perMap = scale === "map" && size > 1;
      const largestOf = perMap ? (map) => findLargest(values, map * size, (map + 1) * size) : () => shared;
      paint(part.context, values, grid, largestOf, palette);
      part.shown = perMap ? null : shared;
    }
    this.largest = all;
  }

  /** Texts that tell a layer without colours. */
  label() {
    for (const [name, part] of this.parts) {
      part.kind.textContent = this.events.describe(`kind.${part.layer.kind}`);
      const [maps, height, width] = shapeOf(part.layer);
      part.frame.setAttribute(
        "aria-label", this.events.describe("layerLabel", { name, maps, height, width }),
      );
    }
  }

  /** Mark a number, the window that it sees in the layer before, and its receptive field in the input.
   * @param {import("lenet/geometry.js").Unit | null} unit
   * @param {boolean} pinned
   */
  mark(unit, pinned) {
    for (const part of this.parts.values()) part.overlay.replaceChildren();
    this.markMuted();
    if (!unit) return;
    const part = this.parts.get(unit.layer);
    const { map, y, x } = placeOf(part.layer, unit.index);
    part.selected = unit.index;
    addBox(part, map, { top: y, left: x, height: 1, width: 1 }, pinned ? "pin" : "unit");
    const seen = windowOf(this.network, unit);
    if (!seen) return;
    const before = this.parts.get(seen.layer.name);
    if (before.grid.height * before.grid.width > 1) {
      const maps = seen.map === null ? [...Array(before.grid.maps).keys()] : [seen.map];
      for (const each of maps) addBox(before, each, seen.box, "window");
    } else if (seen.map !== null) addBox(before, seen.map, seen.box, "window");
    if (seen.layer.name !== "input") {
      addBox(this.parts.get("input"), 0, this.network.receptiveField(unit.layer, y, x), "field");
    }
  }

  markMuted() {
    for (const [name, maps] of this.network.muted) {
      const part = this.parts.get(name);
      for (const map of maps) {
        addBox(part, map, { top: 0, left: 0, height: part.grid.height, width: part.grid.width }, "muted");
      }
    }
  }

  /** The value of a number and its layer's range, for the legend.
   * @param {string} name of a layer
   */
  rangeOf(name) {
    const part = this.parts.get(name);
    return part.shown === null ? null : write(part.shown);
  }
}

/** Add a rectangle to the overlay of a layer, cut to the map that it belongs to. */
function addBox(part, map, box, kind) {
  const { grid } = part;
  const { left, top } = locate(grid, map);
  const x0 = Math.max(0, box.left);
  const y0 = Math.max(0, box.top);
  const x1 = Math.min(grid.width, box.left + box.width);
  const y1 = Math.min(grid.height, box.top + box.height);
  if (x1 <= x0 || y1 <= y0) return;
  const rectangle = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x: left + x0, y: top + y0, width: x1 - x0, height: y1 - y0 })) {
    rectangle.setAttribute(name, String(value));
  }
  rectangle.setAttribute("class", kind);
  part.overlay.append(rectangle);
}
