// The page: one state, and one way from a change of it to everything that is shown.

import { makeState, readAddress, writeAddress } from "lenet/address.js";
import { showAnswer } from "lenet/answer.js";
import { makePalette, paintScale, write } from "lenet/colours.js";
import { setUpControls, showAccuracy, showDamage, showQuestions } from "lenet/controls.js";
import { greyImage } from "lenet/corrections.js";
import { addNoise, applyDamage, Score } from "lenet/damage.js";
import { computeEvidence, drawEvidence } from "lenet/evidence.js";
import { frameDigit } from "lenet/framing.js";
import { shapeOf } from "lenet/geometry.js";
import { Inspector } from "lenet/inspector.js";
import { LineNetwork } from "lenet/line.js";
import { Network } from "lenet/network.js";
import { clearSteps, listenForFiles, openFile } from "lenet/opening.js";
import { Pad, shrinkPlane, SIDE } from "lenet/pad.js";
import { parseCheckpoint } from "lenet/safetensors.js";
import { listSamples, readSamples } from "lenet/samples.js";
import { setUpSharing } from "lenet/share.js";
import { showLine } from "lenet/sweep.js";
import { offerKeeping, setUpTeaching } from "lenet/teach.js";
import { chooseLanguage, Texts } from "lenet/texts.js";
import { NetworkView } from "lenet/view.js";
import { unpackWeights } from "lenet/weights.js";

const element = (id) => /** @type {any} */ (document.getElementById(id));

class App {
  /** @param {Map<string, Uint8Array>} files that the page carries */
  constructor(files) {
    this.api = document.body.dataset.api === "yes";
    this.texts = new Texts(JSON.parse(new TextDecoder().decode(files.get("texts.json"))));
    /** @type {Map<string, any>} */ this.networks = new Map();
    this.line = files.has("line") ? new LineNetwork(/** @type {Uint8Array} */ (files.get("line"))) : null;
    for (const [name, bytes] of files) {
      if (!name.endsWith(".weights")) continue;
      this.networks.set(name.replace(/\.weights$/, ""), new Network(parseCheckpoint(unpackWeights(bytes))));
    }
    this.samples = readSamples(files);
    this.score = new Score(this.samples);
    this.memory = {};
    /** @type {import("lenet/corrections.js").Correction[]} */ this.corrections = [];
    this.state = makeState();
    this.hovered = null;
    this.image = new Uint8Array(784);
    /** @type {any[]} */ this.views = [];
    this.pad = new Pad(element("pad"), () => this.redraw());
    this.inspector = new Inspector(element("unit"), this.texts, {
      edit: (parameter, index, value) => {
        const edits = structuredClone(this.state.damage.edits);
        (edits[parameter] ??= {})[index] = value;
        this.change({ damage: { ...this.state.damage, edits } });
      },
      mute: (layer, map) => this.toggleMuted(`${layer}.${map}`),
      slide: () => this.slide(),
      release: () => this.change({ pin: null }),
    });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.update());
    setUpControls(this);
    setUpSharing(this);
    listenForFiles((file) => openFile(file, this));
    if (this.api) offerKeeping();
    this.restore(location.hash);
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.address) this.restore(location.hash);
    });
  }

  /** Take the state of an address. */
  restore(hash) {
    const state = readAddress(hash);
    state.language = chooseLanguage(state.language, document.body.dataset.language);
    if (!this.networks.has(state.model)) state.model = this.networks.keys().next().value;
    this.state = { ...this.state, ...state };
    this.pad.show(state.drawing); // calls redraw
    this.update();
  }

  /** Change a part of the state and show the result. */
  change(changes) {
    this.state = { ...this.state, ...changes };
    if (changes.drawing) this.pad.show(changes.drawing);
    this.update();
  }

  get active() {
    const { model, compare } = this.state;
    return compare && compare !== model && this.networks.has(compare) ? [model, compare] : [model];
  }

  /** Show everything anew, after a change of anything but the drawing. */
  update() {
    const { state, texts } = this;
    const { key: focused } = /** @type {HTMLElement} */ (document.activeElement).dataset;
    texts.language = state.language;
    texts.apply();
    element("language").textContent = texts.get("otherLanguage");
    element("language").lang = state.language === "zh" ? "en" : "zh-CN";
    element("pad").setAttribute("aria-label", texts.get("padLabel"));
    element("image").setAttribute("aria-label", texts.get("framedLabel"));
    element("scale").value = state.scale;
    element("framing").checked = state.framing;
    this.palette = makePalette(this.dark.matches);
    this.listNetworks();
    // An edit belongs to the network that is shown first; the other damage is done to both.
    this.active.forEach((name, k) => {
      applyDamage(this.networks.get(name), k === 0 ? state.damage : { ...state.damage, edits: {} });
    });
    const key = this.active.join(" ");
    if (key !== this.shownNetworks) this.buildViews(key);
    for (const { view } of this.views) view.label();
    showDamage(texts, state.damage, (name) => this.toggleMuted(name));
    showQuestions(texts, state, (changes) => this.change(changes));
    const { classes } = this.networks.get(state.model);
    listSamples(texts, this.samples, (image) => {
      clearSteps();
      this.say("");
      this.showImage(image);
    });
    setUpTeaching(texts, { classes, image: () => this.image, corrections: this.corrections });
    paintScale(element("scale-bar").getContext("2d"), this.palette);
    this.redraw();
    // What was built anew has lost the focus of the keyboard.
    if (focused) /** @type {any} */ (document.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
    clearTimeout(this.counting);
    this.counting = setTimeout(
      () => showAccuracy(texts, this.score, this.networks.get(state.model), state.damage, this.memory), 30,
    );
  }

  listNetworks() {
    const { state, texts } = this;
    element("model").replaceChildren(...[...this.networks.keys()].map((name) => new Option(name, name)));
    element("model").value = state.model;
    const others = [...this.networks.keys()].filter((name) => name !== state.model);
    const none = new Option(texts.get("nothingBeside"), "");
    element("compare").replaceChildren(none, ...others.map((name) => new Option(name, name)));
    element("compare").value = this.active[1] ?? "";
  }

  buildViews(key) {
    this.shownNetworks = key;
    delete this.memory.before;
    element("views").replaceChildren();
    element("views").classList.toggle("two", this.active.length > 1);
    this.views = this.active.map((name, k) => {
      const network = this.networks.get(name);
      const container = document.createElement("div");
      const title = document.createElement("h3");
      title.textContent = name;
      title.hidden = this.active.length === 1;
      const layers = document.createElement("div");
      layers.className = "layers";
      container.append(title, layers);
      element("views").append(container);
      const view = new NetworkView(layers, network, {
        hover: (unit) => this.hover(unit && { ...unit, view: k }),
        pin: (unit) => this.pin({ ...unit, view: k }),
        describe: (text, values) => this.texts.get(text, values),
      });
      return { name, network, view };
    });
  }

  /** From the ink to every layer and the answer. Runs at every movement of the pen. */
  redraw() {
    if (!this.views.length) return;
    const { state, pad } = this;
    state.drawing = pad.drawing;
    if (pad.image && !pad.strokes.length) this.image = pad.image;
    else {
      const plane = pad.readPlane();
      this.image = state.framing ? frameDigit(plane, SIDE, SIDE) : shrinkPlane(plane);
    }
    this.image = addNoise(this.image, state.damage.imageNoise);
    const preview = element("image").getContext("2d");
    preview.putImageData(greyImage(preview, this.image), 0, 0);
    this.answers = this.views.map(({ name, network, view }) => {
      const result = network.forward(this.image, 28, 28);
      view.draw(result, state.scale, this.palette);
      return { name, network, result, decision: network.decide(result) };
    });
    showAnswer(this.texts, this.answers, pad.isEmpty, this.lineReading);
    this.readAt ??= pad.isEmpty ? undefined : performance.now();
    this.inspect();
    document.body.dataset.ready = "no";
    clearTimeout(this.later);
    this.later = setTimeout(() => this.finish(), 60);
  }

  /** What may wait until the pen rests: the line, the evidence and the address. */
  finish() {
    if (!this.pad.current) this.lineReading = showLine(this.line, this.pad, this.palette);
    showAnswer(this.texts, this.answers, this.pad.isEmpty, this.lineReading);
    const { network, result } = this.answers[0];
    const order = [...result.logits.keys()].sort((a, b) => result.logits[b] - result.logits[a]);
    const [answer, rival] = order;
    const maps = computeEvidence(network, result, this.image, answer, rival);
    const names = { name: network.classes[answer], rival: network.classes[rival] };
    const captions = [
      this.texts.get("evidenceFor", names),
      this.texts.get("evidenceFor", { name: names.rival }),
      this.texts.get("evidenceBetween", names),
    ];
    drawEvidence(element("maps-of-evidence"), maps, captions, this.palette);
    this.address = writeAddress(this.state);
    try {
      history.replaceState(null, "", `#${this.address}`);
    } catch {} // a frame of a notebook has no address of its own
    document.body.dataset.ready = "yes";
  }

  hover(unit) {
    if (unit === this.hovered) return; // shown anew, a button would go away while it is pressed
    this.hovered = unit;
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.inspect();
      });
    }
  }

  pin(unit) {
    const { pin } = this.state;
    const same = pin && pin.layer === unit.layer && pin.index === unit.index;
    this.hovered = null;
    this.change({ pin: same ? null : unit });
  }

  /** Take the number apart that is hovered, or else pinned; show the scale of its layer. */
  inspect() {
    const unit = this.hovered ?? this.state.pin;
    const number = unit?.view ?? 0;
    const shown = this.views[number] ?? this.views[0];
    const layer = unit && shown.network.layers.find(({ name }) => name === unit.layer);
    const found = layer && unit.index < shapeOf(layer).reduce((a, b) => a * b) ? unit : null;
    const pinned = found !== null && this.hovered === null;
    for (const each of this.views) each.view.mark(each === shown ? found : null, pinned);
    const { result } = this.answers[this.views.indexOf(shown)];
    const how = { pinned, editable: pinned && shown === this.views[0] };
    this.inspector.show(shown.network, result, found, how, this.palette);
    const { scale } = this.state;
    const range = scale === "network" ? write(shown.view.largest) : found && shown.view.rangeOf(found.layer);
    element("low").textContent = range ? `−${range}` : "−";
    element("high").textContent = range ? `+${range}` : "+";
  }

  /** Move the pinned window over its map, a number at a time. */
  slide() {
    const { pin } = this.state;
    const { network } = this.views[/** @type {any} */ (pin)?.view ?? 0] ?? this.views[0];
    const layer = network.layers.find(({ name }) => name === pin?.layer);
    clearInterval(this.sliding);
    if (!pin || !layer) return;
    const [, height, width] = shapeOf(layer);
    const size = height * width;
    const first = pin.index - (pin.index % size);
    let place = 0;
    this.sliding = setInterval(() => {
      if (place === size || this.state.pin !== pin) {
        clearInterval(this.sliding);
        this.hover(null);
      } else this.hover({ ...pin, index: first + place++ });
    }, 60);
  }

  toggleMuted(name) {
    const { damage } = this.state;
    const others = damage.muted.filter((each) => each !== name);
    const muted = others.length < damage.muted.length ? others : [...others, name];
    this.change({ damage: { ...damage, muted } });
  }

  say(text) {
    element("message").textContent = text;
  }

  addNetwork(name, network) {
    if (network instanceof LineNetwork) {
      this.line = network;
      return this.redraw();
    }
    this.networks.set(name, network);
    this.shownNetworks = "";
    this.change({ model: name, pin: null, damage: makeState().damage });
  }

  showImage(image) {
    this.pad.show({ strokes: [], image: Uint8Array.from(image) });
  }
}

/** Start the page with the files that it carries; `window.lenet` is for programs that measure or drive it. */
export function start(files) {
  const app = new App(files);
  Object.assign(window, { lenet: app });
}
