"use strict";
// Draws what saliencykit measured. Network 0 is the one after training, 1 the one before.

const bytes = (text) => {
  const letters = atob(text), found = new Uint8Array(letters.length);
  for (let i = 0; i < found.length; i++) found[i] = letters.charCodeAt(i);
  return found;
};
const data = JSON.parse(document.getElementById("data").textContent);
const { networks, categories, layers, images } = data;
const $ = (id) => document.getElementById(id);
const BRIGHTEST = 6; // standard deviations above a unit's mean
const FULL = 2; // from there on colours are no more transparent than so:
const COVER = 180; // of 255
const TILES = 5;
const words = (n) => n.toFixed(2).replace("-", "−");
const html = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

// Numbers

const value = (layer, network, category, unit) => layers[layer].value[network][category][unit];

function interval(layer, network, category, unit) {
  const ends = ["low", "high"].map((end) => layers[layer][end][network][category][unit]);
  return ends[0] === null ? null : ends;
}

function told(layer, network, category, unit) {
  const ends = interval(layer, network, category, unit);
  const mean = value(layer, network, category, unit);
  if (mean === null) return ["not known", ""];
  return [words(mean), ends ? `[${ends.map(words).join(", ")}]` : ""];
}

/** Places of a layer's units in the order asked for, first ones first. */
function sorted(layer, category, order) {
  const places = layers[layer].units.map((_, place) => place);
  const key = (unit) => {
    const [after, before] = [0, 1].map((network) => value(layer, network, category, unit));
    return (order === "change" ? after - before : after) ?? -Infinity;
  };
  return order === "number" ? places : places.sort((a, b) => key(b) - key(a));
}

/** Layer and place of the unit most surely selective: whose interval begins highest. */
function bestOfAll(category) {
  let best = { layer: 0, unit: 0, low: -Infinity };
  layers.forEach((one, layer) => one.units.forEach((_, unit) => {
    const low = interval(layer, 0, category, unit)?.[0] ?? value(layer, 0, category, unit);
    if (low !== null && low > best.low) best = { layer, unit, low };
  }));
  return best;
}

// Maps: a layer's script says them when it is asked for

const waiting = {};
const kept = {};

function received(layer, text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  waiting[layer](new Response(stream).arrayBuffer());
}

/** The layer's region NSS by network, region, unit, and its maps by network, image, unit, y, x. */
function load(layer) {
  return kept[layer] ??= new Promise((resolve, reject) => {
    waiting[layer] = resolve;
    const script = document.createElement("script");
    script.src = layers[layer].file;
    script.onerror = () => reject(new Error(`${layers[layer].file} is not beside this page.`));
    document.head.append(script);
  }).then((buffer) => {
    const regions = images.reduce((sum, image) => sum + image.regions.length, 0);
    const length = networks.length * regions * layers[layer].units.length;
    const scores = new Float32Array(buffer, 0, length);
    return { scores, steps: new Uint8Array(buffer, 4 * length), regions };
  });
}

/** Which two cells each of `out` pixels reads, and the second one's weight: corners not aligned. */
function taps(cells, out) {
  return Array.from({ length: out }, (_, i) => {
    const centre = Math.min(Math.max((i + 0.5) * cells / out - 0.5, 0), cells - 1);
    const first = Math.floor(centre);
    return [first, Math.min(first + 1, cells - 1), centre - first];
  });
}

/** A unit's map enlarged bilinearly, in standard deviations above its mean: (height × width). */
function zscored(maps, layer, network, image, unit, height, width) {
  const [h, w] = layers[layer].shape, units = layers[layer].units.length;
  const start = ((network * images.length + image) * units + unit) * h * w;
  const cells = maps.steps.subarray(start, start + h * w);
  const rows = taps(h, height), columns = taps(w, width);
  const full = new Float32Array(height * width);
  let sum = 0, squares = 0;
  const row = new Float64Array(w);
  for (let y = 0; y < height; y++) {
    const [upper, lower, down] = rows[y];
    for (let x = 0; x < w; x++) {
      row[x] = (1 - down) * cells[upper * w + x] + down * cells[lower * w + x];
    }
    for (let x = 0; x < width; x++) {
      const [left, right, along] = columns[x];
      const found = (1 - along) * row[left] + along * row[right];
      full[y * width + x] = found;
      sum += found;
      squares += found * found;
    }
  }
  const mean = sum / full.length, sd = Math.sqrt(Math.max(squares / full.length - mean * mean, 0));
  for (let i = 0; i < full.length; i++) full[i] = sd > 1e-6 ? (full[i] - mean) / sd : 0;
  return full;
}

/** Region NSS of a unit in an image's regions, and which regions these are. */
function regionScores(maps, layer, network, image, unit) {
  const first = images.slice(0, image).reduce((sum, one) => sum + one.regions.length, 0);
  return images[image].regions.map(([category], k) => {
    const row = network * maps.regions + first + k;
    return { category, score: maps.scores[row * layers[layer].units.length + unit] };
  });
}

/** The shown images that drive a unit most in regions of a category: [image, region NSS]. */
function bestImages(maps, layer, network, category, unit) {
  const found = images.map((_, image) => {
    const own = regionScores(maps, layer, network, image, unit);
    const scores = own.filter((r) => r.category === category && !Number.isNaN(r.score));
    return [image, Math.max(...scores.map((r) => r.score))];
  });
  const byName = ([a], [b]) => (images[a].name < images[b].name ? -1 : 1);
  return found.filter(([, score]) => score > -Infinity).sort(byName)
    .sort((a, b) => b[1] - a[1]).slice(0, TILES);
}

// Drawing

const palette = bytes(data.colours);
/** What a pixel is (R, G, B, A in memory) by its z-score, in hundredths from 0 to the brightest. */
const paints = new Uint32Array(Uint8Array.from({ length: 4 * (100 * BRIGHTEST + 1) }, (_, i) => {
  const z = Math.floor(i / 4) / 100;
  if (i % 4 === 3) return COVER * Math.min(z / FULL, 1);
  return palette[3 * Math.round(255 * z / BRIGHTEST) + i % 4];
}).buffer);
const LINE = 0xffffffff;

function put(canvas, pixels, width) {
  const picture = new ImageData(new Uint8ClampedArray(pixels.buffer), width);
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Colour a z-scored map; a white line, two pixels wide, runs along where it exceeds a threshold. */
function heat(canvas, z, height, width, threshold) {
  const pixels = new Uint32Array(z.length);
  const outside = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && z[y * width + x] <= threshold;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const edge = z[i] > threshold && (outside(x - 2, y) || outside(x + 2, y)
        || outside(x, y - 2) || outside(x, y + 2));
      const steps = Math.round(100 * Math.min(Math.max(z[i], 0), BRIGHTEST));
      pixels[i] = edge ? LINE : paints[steps];
    }
  }
  put(canvas, pixels, width);
}

/** The middle of an outline, to write at. */
function middle(path) {
  const dots = path.match(/[-\d]+,[-\d]+/g).map((dot) => dot.split(",").map(Number));
  const [xs, ys] = [0, 1].map((k) => dots.map((dot) => dot[k]));
  return [(Math.min(...xs) + Math.max(...xs)) / 2, Math.min(...ys)];
}

function overlay(scores) {
  const image = images[state.image], [height, width] = image.size, parts = [], labels = [];
  if (state.regions) {
    image.regions.forEach(([category, path], k) => {
      const own = category === state.category;
      parts.push(`<path class="outline${own ? " own" : ""}" d="${path}"/>`);
      if (own && !Number.isNaN(scores[k].score)) {
        const [x, top] = middle(path);
        const at = [Math.min(Math.max(x, 20), width - 20), top > 24 ? top - 6 : top + 16];
        labels.push(`<text x="${at[0]}" y="${at[1]}">${words(scores[k].score)}</text>`);
      }
    });
  }
  if (state.fixations) {
    parts.push(...image.fixations.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="2.8"/>`));
  }
  if (state.cross) {
    const [x, y] = [state.cross[0] * width, state.cross[1] * height];
    parts.push(`<path class="cross" d="M${x - 9},${y}h6m6,0h6M${x},${y - 9}v6m0,6v6"/>`);
  }
  return [...parts, ...labels].join("");
}

// The page

const state = {
  category: data.category, layer: 0, order: "selectivity", unit: 0, image: 0, threshold: 1.5,
  view: "both", regions: true, fixations: false, cross: null,
};
let order = []; // places of the layer's units, as sorted
const drawn = []; // what the pictures show, by network: z-scored map, region NSS
let tiled = ""; // what the best images are those of

function said() {
  const { units, of, name } = layers[state.layer];
  const place = order.indexOf(state.unit), unit = units[state.unit], { title } = images[state.image];
  const places = `${place + 1} of ${units.length}`, number = `${state.image + 1} of ${images.length}`;
  const texts = { // what is written, and what is said
    layer: [name, name],
    unit: [`${unit} (${places})`, `unit ${unit}, ${places} shown, of the layer's ${of}`],
    image: [number, `${number}, ${title}`],
    threshold: [words(state.threshold), words(state.threshold)],
  };
  $("look-title").textContent = `Where it responds in ${title}`;
  $("layer").max = layers.length - 1;
  $("unit").max = units.length - 1;
  $("image").max = images.length - 1;
  $("category").value = state.category;
  $("order").value = state.order;
  $("layer").value = state.layer;
  $("unit").value = place;
  $("image").value = state.image;
  $("threshold").value = state.threshold;
  for (const box of ["regions", "fixations"]) $(box).checked = state[box];
  for (const [id, [written, spoken]] of Object.entries(texts)) {
    $(`${id}-said`).textContent = written;
    $(`${id}-said`).title = spoken;
    $(id).setAttribute("aria-valuetext", spoken);
  }
}

function sentence() {
  const { layer, unit, category } = state;
  const shown = networks.map((network, k) => {
    const [mean, ends] = told(layer, k, category, unit);
    return `<span class="whole"><b class="network${k}">${mean}</b> <small>${ends}</small></span>
      in the ${html(network.name)}`;
  });
  const [after, before] = [0, 1].map((network) => interval(layer, network, category, unit));
  const verdict = !after || !before ? "Too few images for intervals."
    : after[0] > before[1] ? "It has risen: the intervals lie apart."
    : after[1] < before[0] ? "It has fallen: the intervals lie apart."
    : "The intervals overlap: no certain change.";
  const most = categories.map((_, c) => c)
    .reduce((a, b) => (value(layer, 0, b, unit) > value(layer, 0, a, unit) ? b : a));
  const rather = most === category ? ""
    : ` It responds more to <b>${html(categories[most][1])}</b> (${told(layer, 0, most, unit)[0]}).`;
  $("sentence").innerHTML = `<b>Unit ${layers[layer].units[unit]} of ${html(layers[layer].name)}</b>
    ${most === category ? "responds most to" : "at"} <b>${html(categories[category][1])}</b>: region NSS
    ${shown[1]}, ${shown[0]} network. ${verdict}${rather}`;
}

const reach = [-1, 4]; // of the axis, the same for all units
for (const { value: means, high, low, singles } of layers) {
  for (const number of [means, high, low, singles].flat(4)) {
    reach[0] = Math.min(reach[0], number ?? 0);
    reach[1] = Math.max(reach[1], number ?? 0);
  }
}
const along = (number) => `${100 * (number - reach[0]) / (reach[1] - reach[0])}%`;
const span = (from, to) =>
  `left:${along(Math.min(from, to))};width:${100 * Math.abs(to - from) / (reach[1] - reach[0])}%`;

/** A network's bar, interval and single trainings in the chart: before above, after below. */
function marks(network, category) {
  const { layer, unit } = state, mean = value(layer, network, category, unit);
  if (mean === null) return "";
  const ends = interval(layer, network, category, unit);
  const each = layers[layer].singles[network].map((one) => one[category][unit]);
  const single = (one, k) => one === null ? ""
    : `<i class="single${k ? "" : " first"}" style="left:${along(one)}"></i>`;
  return `<div class="network${network}"><i class="bar" style="${span(0, mean)}"></i>
    ${ends ? `<i class="whisker" style="${span(...ends)}"></i>` : ""}
    ${each.length > 1 ? each.map(single).join("") : ""}</div>`;
}

function table() {
  const { layer, unit } = state;
  const ticks = Array.from({ length: Math.floor(reach[1]) - Math.ceil(reach[0]) + 1 },
    (_, k) => Math.ceil(reach[0]) + k);
  const grid = ticks.map((tick) => `<i class="${tick ? "tick" : "zero"}" style="left:${along(tick)}"></i>`);
  const line = `<i class="threshold" style="left:${along(state.threshold)}"></i>`;
  document.querySelector("thead .track").innerHTML = ticks.filter((tick) => tick % 2 === 0).map(
    (tick) => `<b style="left:${along(tick)}">${String(tick).replace("-", "−")}</b>`).join("");
  categories.forEach((_, category) => {
    const row = $("numbers").querySelectorAll("tbody tr")[category];
    const chosen = category === state.category;
    row.classList.toggle("chosen", chosen);
    row.querySelector("button").setAttribute("aria-pressed", chosen);
    row.querySelector(".track").innerHTML =
      [...grid, marks(1, category), marks(0, category), line].join("");
    row.querySelector(".values").innerHTML = [1, 0].map((network) => {
      const [mean, ends] = told(layer, network, category, unit);
      return `<span class="network${network}">${mean} <small>${ends}</small></span>`;
    }).join("");
  });
}

function stages(maps) {
  const { layer, unit, image, category, threshold } = state, one = images[image];
  const [height, width] = one.size;
  $("stages").classList.toggle("one", state.view !== "both");
  for (const network of [0, 1]) {
    const stage = $(`stage${network}`), picture = stage.querySelector(".picture");
    stage.hidden = state.view === (network ? "after" : "before");
    picture.style.aspectRatio = `${width} / ${height}`;
    const photograph = picture.querySelector("img");
    if (photograph.src !== one.src) photograph.src = one.src;
    const scores = regionScores(maps, layer, network, image, unit);
    const z = zscored(maps, layer, network, image, unit, height, width);
    drawn[network] = { z, scores };
    heat(picture.querySelector("canvas"), z, height, width, threshold);
    const here = scores.filter((r) => r.category === category && !Number.isNaN(r.score));
    const mean = here.reduce((sum, r) => sum + r.score, 0) / here.length;
    const name = categories[category][1];
    stage.querySelector(".here").textContent =
      here.length ? `${name} here: ${words(mean)}` : `no ${name} fixated here`;
    picture.querySelector("svg").setAttribute("viewBox", `0 0 ${width} ${height}`);
  }
  overlays();
  $("scale").querySelector("i").style.left = `${100 * Math.min(threshold / BRIGHTEST, 1)}%`;
  $("scale").querySelector("span").textContent = `0 to ${BRIGHTEST} SD above the mean`;
}

/** Outlines, fixations and the cross over both pictures, and what is read at the cross. */
function overlays() {
  for (const network of [0, 1]) {
    $(`stage${network}`).querySelector("svg").innerHTML = overlay(drawn[network].scores);
  }
  if (!state.cross) return;
  const [height, width] = images[state.image].size;
  const at = Math.floor(state.cross[1] * height) * width + Math.floor(state.cross[0] * width);
  const texts = [1, 0].map((network) => `<b class="network${network}">${words(drawn[network].z[at])}</b>
    ${html(networks[network].name)}`);
  $("read").innerHTML = `At the cross, SD above the unit's mean: ${texts.join(", ")}`;
}

function tiles(maps) {
  const { layer, unit, category, threshold } = state;
  const name = categories[category][1], key = [layer, unit, category, threshold].join();
  $("best-title").textContent = `Images in which ${name} drives it most`;
  for (const network of [0, 1]) {
    const best = bestImages(maps, layer, network, category, unit);
    [...$(`tiles${network}`).children].forEach((tile, k) => {
      tile.hidden = k >= best.length;
      if (tile.hidden) return;
      const [image, score] = best[k], button = tile.firstElementChild;
      button.setAttribute("aria-pressed", image === state.image);
      if (key === tiled) return;
      const [height, width] = images[image].size.map((n) => Math.round(n / 2));
      button.dataset.image = image;
      button.setAttribute("aria-label", `${images[image].title}: region NSS ${words(score)}`);
      button.querySelector("img").src = images[image].src;
      button.querySelector(".picture").style.aspectRatio = `${width} / ${height}`;
      button.querySelector(".score").textContent = words(score);
      const z = zscored(maps, layer, network, image, unit, height, width);
      heat(button.querySelector("canvas"), z, height, width, threshold);
    });
  }
  tiled = key;
}

let asked = 0;

async function draw() {
  const mine = ++asked;
  said();
  sentence();
  table();
  try {
    const maps = await load(state.layer);
    if (mine !== asked) return; // another choice was made meanwhile
    stages(maps);
    tiles(maps);
    $("trouble").hidden = true;
    document.body.dataset.drawn = mine;
  } catch (error) {
    delete kept[state.layer];
    $("trouble").hidden = false;
    $("trouble").textContent = error.message;
  }
  remember();
}

/** Change the state, sort the units anew if they are others, and draw. */
function change(changes) {
  const before = { ...state }, place = order.indexOf(state.unit);
  Object.assign(state, changes);
  const others = ["layer", "category", "order"].some((name) => before[name] !== state[name]);
  if (others || !order.length) {
    order = sorted(state.layer, state.category, state.order);
    const stays = "unit" in changes || changes.order === "number"; // else the place in the order
    if (!stays) state.unit = order[Math.min(Math.max(place, 0), order.length - 1)];
  }
  draw();
}

/** Go to a category's best unit of all layers, and to the image that drives it most. */
async function toBest(category) {
  const { layer, unit } = bestOfAll(category);
  change({ category, order: "selectivity", layer, unit });
  const [found] = bestImages(await load(layer), layer, 0, category, unit);
  if (found) change({ image: found[0] });
}

// The address tells what is shown, so that it can be sent

function remember() {
  const { layer, unit, category, image, threshold } = state;
  const told = new URLSearchParams({
    layer: layers[layer].name, unit: layers[layer].units[unit], category: categories[category][0],
    image: images[image].name, threshold,
  });
  try { history.replaceState(null, "", `#${told}`); } catch { /* some browsers: not from disk */ }
}

function recalled() {
  const told = new URLSearchParams(location.hash.slice(1));
  const layer = layers.findIndex((one) => one.name === told.get("layer"));
  const unit = layers[layer]?.units.indexOf(Number(told.get("unit"))) ?? -1;
  const category = categories.findIndex(([name]) => name === told.get("category"));
  if (unit < 0 || category < 0) return false;
  const image = Math.max(0, images.findIndex((one) => one.name === told.get("image")));
  const threshold = Number(told.get("threshold") ?? state.threshold);
  change({ layer, category, unit, image, ...(threshold >= 0 && threshold <= 4 && { threshold }) });
  return true;
}

// Controls

$("category").append(...categories.map(([, name], k) => new Option(name, k)));
$("threshold").max = 4;
$("threshold").step = 0.25;
$("numbers").querySelector("tbody").innerHTML = categories.map(([, name], k) => `<tr>
  <th scope="row"><button type="button" data-category="${k}">${html(name)}</button></th>
  <td><div class="track" aria-hidden="true"></div></td><td class="values"></td></tr>`).join("");
for (const network of [0, 1]) {
  $(`tiles${network}`).innerHTML = `<li hidden><button type="button">
    <span class="picture"><img alt=""><canvas></canvas></span><span class="score"></span>
    </button></li>`.repeat(TILES);
}
$("controls").addEventListener("input", ({ target }) => {
  const number = Number(target.value);
  const changes = {
    category: { category: number },
    layer: { layer: number },
    order: { order: target.value },
    unit: { unit: order[number] },
    image: { image: number },
    threshold: { threshold: number },
    regions: { regions: target.checked },
    fixations: { fixations: target.checked },
  };
  change(changes[target.id] ?? { view: target.value });
});
$("controls").addEventListener("click", ({ target }) => {
  const control = $(target.dataset.for);
  if (!control) return;
  control[Number(target.dataset.step) > 0 ? "stepUp" : "stepDown"]();
  control.dispatchEvent(new Event("input", { bubbles: true }));
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("best").addEventListener("click", () => toBest(state.category));
$("numbers").addEventListener("click", ({ target }) => {
  if (target.dataset.category) change({ category: Number(target.dataset.category) });
});
$("best-images").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) change({ image: Number(button.dataset.image) });
});
for (const picture of document.querySelectorAll(".stage .picture")) {
  const place = (...dots) => {
    state.cross = dots.map((n) => Math.min(Math.max(n, 0), 0.9999));
    if (drawn.length) overlays();
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    place((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  });
  picture.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [x, y] = state.cross ?? [0.5, 0.5];
    place(x + moves[event.key][0], y + moves[event.key][1]);
  });
}
window.addEventListener("hashchange", recalled);

put($("scale").firstElementChild, paints.slice(), paints.length);
if (!recalled()) toBest(state.category);
