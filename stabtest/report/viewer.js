// The viewer of a panel: two pictures against each other under a divider, zoom and pan in step over all pictures of the panel, and the
// window of the 16-bit values. The pictures that are printed, and seen without a script, stay as they are below it.
const banks = new Map();
const unpack = async (key) => {
  const bank = document.getElementById(`raw-${key}`);
  if (!bank || typeof DecompressionStream === "undefined") return null;
  const packed = Uint8Array.from(atob(bank.value), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const view = new DataView(await new Response(stream).arrayBuffer());
  const levels = new Uint16Array(view.byteLength / 2);
  for (let at = 0; at < levels.length; at++) levels[at] = view.getUint16(2 * at, true);
  return { levels, low: Number(bank.dataset.low), high: Number(bank.dataset.high) };
};
const valuesOf = (key) => {
  if (!banks.has(key)) banks.set(key, unpack(key).catch(() => null));
  return banks.get(key);
};
const coloursOf = (panel, kind) => {
  const bar = panel.querySelector(`img.colours[data-kind="${kind}"]`), canvas = make("canvas", { width: 256, height: 1 });
  const pen = canvas.getContext("2d");
  pen.drawImage(bar, 0, 0);
  return new Uint32Array(pen.getImageData(0, 0, 256, 1).data.buffer);
};
const digits = (value) => (value === 0 ? "0" : Math.abs(value) >= 0.001 && Math.abs(value) < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(2));

const viewer = async (panel, images) => {
  const shots = await Promise.all(images.map(async (image) => ({
    image, label: image.dataset.label, kind: image.dataset.kind, data: await valuesOf(image.dataset.raw),
    width: Number(image.getAttribute("width")), height: Number(image.getAttribute("height")),
    window: image.dataset.window.split(" ").map(Number),
  })));
  const kinds = [...new Set(shots.filter((shot) => shot.data).map((shot) => shot.kind))];
  const colours = new Map(kinds.map((kind) => [kind, coloursOf(panel, kind)]));
  const names = { anatomy: "Image", error: "Difference", signed: "Signed" };
  const paint = (canvas, shot) => {
    canvas.width = shot.width; canvas.height = shot.height;
    const pen = canvas.getContext("2d");
    if (!shot.data) { pen.drawImage(shot.image, 0, 0); return; }
    const { levels, low, high } = shot.data, [from, to] = shot.window, table = colours.get(shot.kind);
    const picture = pen.createImageData(shot.width, shot.height), pixels = new Uint32Array(picture.data.buffer);
    const scale = (high - low) / 65535, span = to > from ? 255 / (to - from) : 0;
    for (let at = 0; at < pixels.length; at++) {
      const level = (low + levels[at] * scale - from) * span;
      pixels[at] = table[level <= 0 ? 0 : level >= 255 ? 255 : Math.round(level)];
    }
    pen.putImageData(picture, 0, 0);
  };

  const view = { zoom: 1, x: 0.5, y: 0.5 };
  const place = () => {
    const edge = 0.5 / view.zoom;
    view.x = Math.min(1 - edge, Math.max(edge, view.x)); view.y = Math.min(1 - edge, Math.max(edge, view.y));
    const shift = (share) => `${100 * (0.5 - share) * view.zoom}%`;
    const moved = view.zoom === 1 ? "" : `translate(${shift(view.x)}, ${shift(view.y)}) scale(${view.zoom})`;
    for (const element of box.querySelectorAll("canvas")) element.style.transform = moved;
    zoomed.textContent = `${Number(view.zoom.toPrecision(3))}×`;
  };
  const zoomBy = (factor) => { view.zoom = Math.min(32, Math.max(1, view.zoom * factor)); place(); };
  const pan = (right, down) => { view.x += right / view.zoom; view.y += down / view.zoom; place(); };

  const choose = (start) => {
    const list = make("select", {}, shots.map((shot, at) => make("option", { value: String(at), textContent: shot.label })));
    list.value = String(start);
    return list;
  };
  const find = (word, fallback) => Math.max(fallback, shots.findIndex((shot) => shot.label.startsWith(word)));
  const first = choose(find("Clean", 0)), second = choose(find("Perturbed", 1));
  const under = make("canvas"), over = make("canvas");
  const share = make("input", { type: "range", min: "0", max: "100", value: "50" });
  const swap = button("A/B"), said = make("output"), pointed = make("output", { className: "values" });
  const stage = make("div", { className: "stage", tabIndex: 0 }, [make("div", { className: "frame" }, [under, make("div", { className: "over" }, [over])])]);
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", "Two pictures: space swaps A and B, + and − zoom, arrows move, 0 shows all");
  const show = () => {
    const a = shots[first.value], b = shots[second.value];
    paint(under, a); paint(over, b);
    over.parentElement.style.clipPath = `inset(0 0 0 ${share.value}%)`;
    const words = { 0: `B: ${b.label}`, 100: `A: ${a.label}` };
    said.textContent = words[share.value] || `left A: ${a.label}; right B: ${b.label}`;
    swap.setAttribute("aria-pressed", String(share.value === "0"));
  };
  const flip = () => { share.value = share.value === "100" ? "0" : "100"; show(); };
  swap.addEventListener("click", flip);
  for (const control of [first, second, share]) control.addEventListener("input", show);

  const zoomed = make("output");
  const closer = button("+", "Zoom in"), wider = button("−", "Zoom out"), whole = button("All", "Show all");
  closer.addEventListener("click", () => zoomBy(1.5));
  wider.addEventListener("click", () => zoomBy(1 / 1.5));
  whole.addEventListener("click", () => { zoomBy(1e-9); });
  stage.addEventListener("keydown", (event) => {
    const step = 0.1, keys = {
      " ": flip, "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), "0": () => zoomBy(1e-9),
      ArrowLeft: () => pan(-step, 0), ArrowRight: () => pan(step, 0), ArrowUp: () => pan(0, -step), ArrowDown: () => pan(0, step),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault(); keys[event.key]();
  });
  const valueAt = (shot, x, y) => {
    const column = Math.floor(x * shot.width), row = Math.floor(y * shot.height);
    if (!shot.data || column < 0 || row < 0 || column >= shot.width || row >= shot.height) return null;
    const { levels, low, high } = shot.data;
    return `row ${row}, column ${column}: ${digits(low + (high - low) * levels[row * shot.width + column] / 65535)}`;
  };
  const follow = (frame) => {
    frame.addEventListener("wheel", (event) => {
      if (!box.contains(document.activeElement)) return;  // else the page would not scroll past
      event.preventDefault(); zoomBy(event.deltaY < 0 ? 1.25 : 1 / 1.25);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => { frame.setPointerCapture(event.pointerId); });
    frame.addEventListener("pointermove", (event) => {
      const area = frame.getBoundingClientRect();
      if (event.buttons) { pan(-event.movementX / area.width, -event.movementY / area.height); return; }
      const x = view.x + ((event.clientX - area.left) / area.width - 0.5) / view.zoom;
      const y = view.y + ((event.clientY - area.top) / area.height - 0.5) / view.zoom;
      const [a, b] = [shots[first.value], shots[second.value]].map((shot) => valueAt(shot, x, y));
      if (a && b) pointed.textContent = `A ${a}; B ${b.slice(b.indexOf(": ") + 2)}`;
    });
  };
  follow(stage.firstChild);

  const label = (text, ...controls) => make("label", {}, [text, ...controls]);
  const windows = kinds.map((kind) => {
    const mine = shots.filter((shot) => shot.data && shot.kind === kind), printed = mine.map((shot) => shot.window);
    const low = Math.min(...mine.map((shot) => Math.min(shot.data.low, shot.window[0])));
    const high = Math.max(...mine.map((shot) => Math.max(shot.data.high, shot.window[1])));
    const share01 = (value) => String((value - low) / (high - low)), value = (slider) => low + (high - low) * Number(slider.value);
    const slider = (name) => {
      const control = make("input", { type: "range", min: "0", max: "1", step: "0.001" });
      control.setAttribute("aria-label", `${names[kind]}: ${name} end of the window`);
      return control;
    };
    const from = slider("low"), to = slider("high"), ends = make("output");
    const set = () => {
      for (const shot of mine) shot.window = [value(from), value(to)];
      ends.textContent = `${digits(value(from))} to ${digits(value(to))}`;
      repaint(kind);
    };
    const reset = () => {
      mine.forEach((shot, at) => { shot.window = printed[at]; });
      from.value = share01(printed[0][0]); to.value = share01(printed[0][1]);
      ends.textContent = `${digits(printed[0][0])} to ${digits(printed[0][1])}`;
      repaint(kind);
    };
    from.addEventListener("input", () => { if (value(from) > value(to)) to.value = from.value; set(); });
    to.addEventListener("input", () => { if (value(to) < value(from)) from.value = to.value; set(); });
    const back = button("As printed", `${names[kind]}: window as printed`);
    back.addEventListener("click", reset);
    const row = make("div", { className: "controls" }, [`Window, ${names[kind].toLowerCase()}`, from, to, ends, back]);
    return { row, reset };
  });

  const tiles = shots.map((shot) => {
    const canvas = make("canvas"), frame = make("div", { className: "frame" }, [canvas]);
    follow(frame);
    return { shot, canvas, figure: make("figure", {}, [frame, make("figcaption", { textContent: shot.label })]) };
  });
  const repaint = (kind) => {
    for (const { shot, canvas } of tiles) if (shot.kind === kind) paint(canvas, shot);
    show();
  };
  const box = make("div", { className: "viewer" }, [
    make("div", { className: "controls" }, [label("A", first), label("B", second), swap, label("Divide", share)]),
    make("div", { className: "controls" }, ["Zoom", wider, closer, whole, zoomed]),
    ...windows.map((each) => each.row), stage, said, pointed,
    make("div", { className: "tiles" }, tiles.map((tile) => tile.figure)),
  ]);
  const across = Math.max(...[...panel.querySelectorAll(".pictures tbody tr")].map((row) => row.querySelectorAll("img").length));
  box.lastChild.style.setProperty("--across", String(across));
  for (const { shot, canvas } of tiles) if (!shot.data) paint(canvas, shot);
  for (const each of windows) each.reset();
  show(); place();
  return box;
};
for (const panel of document.querySelectorAll(".panel")) {
  const images = [...panel.querySelectorAll("img[data-label]")];
  if (images.length < 2) continue;
  const toggle = button("Compare pictures");
  toggle.setAttribute("aria-expanded", "false");
  let box = null;
  toggle.addEventListener("click", async () => {
    if (box) { box.remove(); box = null; } else { toggle.disabled = true; box = await viewer(panel, images); panel.append(box); toggle.disabled = false; }
    toggle.setAttribute("aria-expanded", String(Boolean(box)));
  });
  panel.append(toggle);
}
