// The drawing surface: strokes of pen and eraser by mouse, pen, touch and keyboard.

export const SIDE = 280; // pixels; ten for each of the image
export const PEN = 20; // pixels: the width of a stroke, two pixels of the image
const ERASER = 36;
const CLOSE = 2.5; // pixels: nearer points are left out
const STEP = 8; // pixels that an arrow key moves

/** @typedef {{erase: boolean, points: number[]}} Stroke points are x, y, x, y, …, whole pixels */
/** @typedef {{strokes: Stroke[], image: Uint8Array | null}} Drawing image: 28 × 28, below the strokes */

export class Pad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onChange called after every change of the drawing
   */
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const ink = document.createElement("canvas");
    ink.width = ink.height = SIDE;
    this.ink = /** @type {CanvasRenderingContext2D} */ (ink.getContext("2d", { willReadFrequently: true }));
    this.erasing = false;
    /** @type {Stroke[]} */ this.strokes = [];
    /** @type {Uint8Array | null} */ this.image = null;
    /** @type {Drawing[]} */ this.past = [];
    /** @type {Stroke | null} */ this.current = null;
    this.cursor = { x: SIDE / 2, y: SIDE / 2, shown: false, down: false };
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => this.lift());
    canvas.addEventListener("keydown", (event) => this.type(event));
    canvas.addEventListener("blur", () => this.hideCursor());
    this.redraw();
  }

  /** @returns {Drawing} */
  get drawing() {
    return { strokes: this.strokes.slice(), image: this.image };
  }

  get isEmpty() {
    return !this.strokes.length && !this.image;
  }

  /** Replace the drawing; `undo` brings the old one back.
   * @param {Drawing} drawing
   */
  show(drawing, remember = true) {
    if (remember) this.past.push(this.drawing);
    this.strokes = drawing.strokes.slice();
    this.image = drawing.image;
    this.current = null;
    this.redraw();
    this.onChange();
  }

  clear() {
    if (!this.isEmpty) this.show({ strokes: [], image: null });
  }

  undo() {
    const before = this.past.pop();
    if (before) this.show(before, false);
  }

  /** The ink, 0 to 1, row by row: Float32Array of 280 × 280. */
  readPlane() {
    return readAlpha(this.ink);
  }

  /** The ink, drawn anew with a finer pen. @param {number} pen pixels */
  readFine(pen) {
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const context = /** @type {any} */ (canvas.getContext("2d", { willReadFrequently: true }));
    inkStrokes(context, this.strokes, pen);
    return readAlpha(context);
  }

  press(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(...this.locate(event));
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.hideCursor();
  }

  move(event) {
    if (!this.current || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.extend(...this.locate(each));
    this.finishStep();
  }

  lift() {
    if (!this.current) return;
    this.current = null;
    this.onChange(); // what waits until the pen is up
  }

  /** Start a stroke: a dot until it is extended. */
  begin(x, y) {
    this.past.push(this.drawing);
    if (this.image && !this.strokes.length) this.image = null; // one draws a digit, not on a digit
    this.current = { erase: this.erasing, points: [x, y] };
    this.strokes.push(this.current);
    this.redraw();
    this.finishStep();
  }

  extend(x, y) {
    const points = /** @type {Stroke} */ (this.current).points;
    const [lastX, lastY] = points.slice(-2);
    if (Math.hypot(x - lastX, y - lastY) < CLOSE) return;
    points.push(x, y);
    inkPiece(this.ink, /** @type {Stroke} */ (this.current), points.length - 2);
  }

  finishStep() {
    this.copyInk();
    this.onChange();
  }

  /** @returns {[number, number]} the place of an event in pixels of the pad */
  locate(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = (value, size) => Math.round(Math.min(SIDE, Math.max(0, (value * SIDE) / size)));
    return [scale(event.clientX - box.left, box.width), scale(event.clientY - box.top, box.height)];
  }

  type(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const cursor = this.cursor;
    if (event.key in moves && !event.ctrlKey && !event.metaKey) {
      const [x, y] = moves[event.key];
      cursor.x = Math.min(SIDE, Math.max(0, cursor.x + x * STEP));
      cursor.y = Math.min(SIDE, Math.max(0, cursor.y + y * STEP));
      cursor.shown = true;
      if (cursor.down) this.extend(cursor.x, cursor.y);
    } else if (event.key === " ") {
      cursor.shown = true;
      cursor.down = !cursor.down;
      if (cursor.down) this.begin(cursor.x, cursor.y);
      else this.lift();
    } else if (event.key === "Escape") {
      this.hideCursor();
    } else return;
    event.preventDefault();
    this.finishStep();
  }

  hideCursor() {
    if (this.cursor.down) this.lift();
    this.cursor.shown = this.cursor.down = false;
    this.copyInk();
  }

  redraw() {
    this.ink.clearRect(0, 0, SIDE, SIDE);
    if (this.image) inkImage(this.ink, this.image);
    inkStrokes(this.ink, this.strokes);
    this.copyInk();
  }

  copyInk() {
    this.context.clearRect(0, 0, SIDE, SIDE);
    this.context.drawImage(this.ink.canvas, 0, 0);
    if (!this.cursor.shown) return;
    this.context.strokeStyle = this.cursor.down ? "#d33" : "#38f";
    this.context.lineWidth = 2;
    this.context.strokeRect(this.cursor.x - 7, this.cursor.y - 7, 14, 14);
  }
}

function readAlpha(context) {
  const pixels = context.getImageData(0, 0, SIDE, SIDE).data;
  const plane = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < plane.length; i++) plane[i] = pixels[4 * i + 3] / 255;
  return plane;
}

function inkStrokes(context, strokes, pen = PEN) {
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.points.length; i += 2) inkPiece(context, stroke, i, pen);
  }
}

/** Draw a stroke's line to its point at `i`; a dot for the first. White ink; what shows is the alpha.
 *
 * Piece by piece, also when all is drawn anew: edges that are drawn twice are darker than edges drawn once.
 */
function inkPiece(context, stroke, i, pen = PEN) {
  const { points, erase } = stroke;
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.strokeStyle = "#fff";
  context.lineWidth = erase ? ERASER : pen;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(points[Math.max(0, i - 2)], points[Math.max(1, i - 1)]);
  context.lineTo(points[i] + (i ? 0 : 0.01), points[i + 1]);
  context.stroke();
  context.globalCompositeOperation = "source-over";
}

/** Draw a 28 × 28 image over the whole surface, one square a pixel. */
function inkImage(context, image) {
  const cell = SIDE / 28;
  for (let i = 0; i < image.length; i++) {
    if (!image[i]) continue;
    context.fillStyle = `rgba(255, 255, 255, ${image[i] / 255})`;
    context.fillRect((i % 28) * cell, Math.floor(i / 28) * cell, cell, cell);
  }
}

/** The plane of the pad as an image of 28 × 28 bytes, by averages, without any framing. */
export function shrinkPlane(plane) {
  const cell = SIDE / 28;
  const sums = new Float32Array(784);
  for (let y = 0; y < SIDE; y++) {
    const row = 28 * Math.floor(y / cell);
    for (let x = 0; x < SIDE; x++) sums[row + Math.floor(x / cell)] += plane[y * SIDE + x];
  }
  return Uint8Array.from(sums, (sum) => Math.round((255 * sum) / (cell * cell)));
}
