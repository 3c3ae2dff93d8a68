// Numbers as colours: blue below zero, orange above, the page's background at zero.

const STEPS = 255; // on either side of zero
const ENDS = {
  light: { negative: [20, 80, 190], zero: [255, 255, 255], positive: [200, 80, 0] },
  dark: { negative: [90, 160, 255], zero: [16, 18, 24], positive: [255, 160, 60] },
};

/** The colour of each of 511 values from -1 to 1, as the numbers that ImageData's memory holds.
 * @param {boolean} dark whether the page is dark
 * @returns {Uint32Array}
 */
export function makePalette(dark) {
  const { negative, zero, positive } = ENDS[dark ? "dark" : "light"];
  const palette = new Uint32Array(2 * STEPS + 1);
  const bytes = new Uint8ClampedArray(palette.buffer);
  for (let i = 0; i <= 2 * STEPS; i++) {
    const share = (i - STEPS) / STEPS;
    const end = share < 0 ? negative : positive;
    const strength = Math.abs(share) ** 0.8; // small values stay visible
    for (let k = 0; k < 3; k++) bytes[4 * i + k] = zero[k] + (end[k] - zero[k]) * strength;
    bytes[4 * i + 3] = 255;
  }
  return palette;
}

/** The largest absolute value of a part of `values`; never 0, so that it can divide.
 * @param {Float32Array} values
 * @param {number} [from]
 * @param {number} [to]
 */
export function findLargest(values, from = 0, to = values.length) {
  let largest = 0;
  for (let i = from; i < to; i++) {
    const size = Math.abs(values[i]);
    if (size > largest) largest = size;
  }
  return largest || 1;
}

/** How the maps of a layer stand in one image: columns, and pixels between maps.
 * @param {number} maps
 * @param {number} height of a map
 * @param {number} width of a map
 */
export function arrange(maps, height, width) {
  let columns = Math.ceil(Math.sqrt(maps));
  if (maps <= 10 && height * width === 1) columns = maps;
  else if (maps < 200 || height * width === 1) {
    for (let k = columns; k <= 2 * columns; k++) {
      if (maps % k === 0) {
        columns = k;
        break;
      }
    }
  }
  const gap = height * width === 1 ? 0 : 1;
  const rows = Math.ceil(maps / columns);
  return {
    maps, height, width, columns, gap, rows,
    imageWidth: columns * (width + gap) - gap,
    imageHeight: rows * (height + gap) - gap,
  };
}

/** Where a map begins in the image of its layer. */
export function locate(grid, map) {
  return {
    left: (map % grid.columns) * (grid.width + grid.gap),
    top: Math.floor(map / grid.columns) * (grid.height + grid.gap),
  };
}

/** Draw the maps of a layer on a canvas of one pixel a number.
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array} values maps × height × width
 * @param {ReturnType<typeof arrange>} grid
 * @param {(map: number) => number} largestOf the absolute value that has the strongest colour
 * @param {Uint32Array} palette
 */
export function paint(context, values, grid, largestOf, palette) {
  const image = context.createImageData(grid.imageWidth, grid.imageHeight);
  const pixels = new Uint32Array(image.data.buffer);
  const size = grid.height * grid.width;
  for (let map = 0; map < grid.maps; map++) {
    const { left, top } = locate(grid, map);
    const factor = STEPS / largestOf(map);
    for (let y = 0; y < grid.height; y++) {
      let to = (top + y) * grid.imageWidth + left;
      let from = map * size + y * grid.width;
      for (let x = 0; x < grid.width; x++, to++, from++) {
        const step = Math.round(values[from] * factor);
        pixels[to] = palette[STEPS + (step < -STEPS ? -STEPS : step > STEPS ? STEPS : step)];
      }
    }
  }
  context.putImageData(image, 0, 0);
}

/** Draw the scale of the colours, from the strongest negative to the strongest positive one, on one row.
 * @param {CanvasRenderingContext2D} context
 * @param {Uint32Array} palette
 */
export function paintScale(context, palette) {
  const bar = context.createImageData(context.canvas.width, 1);
  const pixels = new Uint32Array(bar.data.buffer);
  const last = pixels.length - 1;
  for (let i = 0; i <= last; i++) pixels[i] = palette[Math.round((i * (palette.length - 1)) / last)];
  context.putImageData(bar, 0, 0);
}

/** A number for a person: three significant digits, a real minus sign. */
export function write(value) {
  const size = Math.abs(value);
  const text = size === 0 ? "0" : size >= 1000 || size < 0.001 ? value.toExponential(1) : value.toPrecision(3);
  return text.replaceAll("-", "−");
}
