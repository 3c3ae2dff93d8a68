// Unpacks the files that the page carries, offers the modules among them by name, and starts the page.
// A classic script: modules cannot be loaded by address from a file:// page.
(async () => {
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  const VALUES = new Uint8Array(128);
  for (let i = 0; i < 85; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

  /** Bytes of a text in base 85, whose alphabet is that of Python's base64.b85encode. */
  function decode(text) {
    const padding = (5 - (text.length % 5)) % 5;
    const padded = text + "~".repeat(padding);
    const bytes = new Uint8Array((padded.length / 5) * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < padded.length; i += 5) {
      let value = 0;
      for (let k = 0; k < 5; k++) value = value * 85 + VALUES[padded.charCodeAt(i + k)];
      view.setUint32((i / 5) * 4, value);
    }
    return bytes.subarray(0, bytes.length - padding);
  }

  /** The bytes of an element's text: base 85 of a zlib stream. */
  async function unpack(element) {
    const packed = new Blob([decode((element.textContent ?? "").replace(/\s/g, ""))]);
    const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const elements = [...document.querySelectorAll("script[data-file]")];
  const contents = await Promise.all(elements.map(unpack));
  const files = new Map(elements.map((element, i) => [element.dataset.file, contents[i]]));
  const imports = {};
  for (const [name, bytes] of files) {
    if (name.endsWith(".js")) {
      const text = new TextDecoder().decode(bytes);
      imports[`lenet/${name}`] = `data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`;
    }
  }
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
  const { start } = await import("lenet/app.js");
  start(files);
})();
