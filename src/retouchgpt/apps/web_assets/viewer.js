// Before and after under one slider, the mask over it, and a brush for the mask. Works by pointer, touch and keyboard.
// Sends 'painted' with {mask: data URL of a PNG whose opacity is the mask}.
const root = element.querySelector(".rg-viewer");
root.innerHTML = `
  <div class="rg-stage" tabindex="0" role="group" aria-label="Photo before and after">
    <div class="rg-sheet">
      <img class="rg-before" alt="The photo before"><img class="rg-after" alt="The photo after">
      <canvas class="rg-mask" hidden tabindex="0" role="img"
        aria-label="Mask of the edit. Arrow keys move the brush, the space bar uses it."></canvas>
      <div class="rg-ring" hidden></div><div class="rg-badges"></div>
      <div class="rg-bar" aria-hidden="true"><span></span></div>
    </div>
  </div>
  <div class="rg-tools">
    <label class="rg-split">Before <input type="range" min="0" max="100" value="50" step="1"
      aria-label="Before and after"> After</label>
    <button type="button" class="rg-show" aria-pressed="false">Show mask</button>
    <span class="rg-brushes" hidden>
      <button type="button" class="rg-paint" aria-pressed="true">Paint</button>
      <button type="button" class="rg-erase" aria-pressed="false">Erase</button>
      <label>Brush <input type="range" class="rg-size" min="4" max="120" value="28" aria-label="Brush size"></label>
      <button type="button" class="rg-clear">Clear mask</button>
      <button type="button" class="rg-back">Take back</button>
      <button type="button" class="rg-use">Use this mask</button>
    </span>
  </div>`;
const get = (name) => root.querySelector(".rg-" + name);
const [stage, sheet, canvas, ring, bar] = ["stage", "sheet", "mask", "ring", "bar"].map(get);
const [before, after, show, size] = ["before", "after", "show", "size"].map(get);
const split = get("split").querySelector("input");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let shownPlace = null, erasing = false, last = null, at = { x: 0, y: 0 }, levels = null;

function divide() {
  const seen = Math.min(stage.clientWidth, sheet.clientWidth);
  const x = stage.scrollLeft + (split.value / 100) * seen;
  sheet.style.setProperty("--rg-x", x + "px");
}

function layOut(value) {
  const ratio = window.devicePixelRatio || 1;
  stage.classList.toggle("rg-native", value.native);
  sheet.style.aspectRatio = value.width + " / " + value.height;
  const whole = `min(100%, calc(70vh * ${value.width / value.height}))`;
  sheet.style.width = value.native ? value.width / ratio + "px" : whole;
  if (value.place !== shownPlace) {
    stage.scrollLeft = (sheet.clientWidth - stage.clientWidth) / 2;
    stage.scrollTop = (sheet.clientHeight - stage.clientHeight) / 2;
    shownPlace = value.place;
  }
  divide();
}

function draw() {
  pen.globalCompositeOperation = "copy";
  if (levels) pen.drawImage(levels, 0, 0);
  else pen.clearRect(0, 0, canvas.width, canvas.height);
}

function update() {
  const value = props.value;
  if (!value || !value.before) return;
  before.src = value.before;
  after.src = value.after;
  canvas.width = value.mask_width;
  canvas.height = value.mask_height;
  levels = null;
  const image = new Image();
  image.onload = () => { levels = image; draw(); root.dataset.ready = value.mask; };
  image.src = value.mask;
  get("badges").replaceChildren(...value.badges.map((b) => {
    const mark = document.createElement("span");
    mark.textContent = b.text;
    mark.style.left = b.left + "%";
    mark.style.top = b.top + "%";
    return mark;
  }));
  layOut(value);
}

function press(on, ...off) {
  on.setAttribute("aria-pressed", "true");
  off.forEach((b) => b.setAttribute("aria-pressed", "false"));
}

const scale = () => canvas.width / canvas.getBoundingClientRect().width;

function stroke(from, to) {
  pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  pen.strokeStyle = "rgb(255, 0, 160)";
  pen.lineCap = "round";
  pen.lineWidth = size.value * scale();
  pen.beginPath();
  pen.moveTo(from.x, from.y);
  pen.lineTo(to.x + 0.01, to.y);
  pen.stroke();
}

function pointed(event) {
  const box = canvas.getBoundingClientRect();
  return { x: (event.clientX - box.left) * scale(), y: (event.clientY - box.top) * scale() };
}

function circle() {
  ring.style.width = ring.style.height = size.value + "px";
  ring.style.left = at.x / scale() + "px";
  ring.style.top = at.y / scale() + "px";
}

bar.addEventListener("pointerdown", (e) => { bar.setPointerCapture(e.pointerId); e.preventDefault(); });
bar.addEventListener("pointermove", (e) => {
  if (!bar.hasPointerCapture(e.pointerId)) return;
  const seen = Math.min(stage.clientWidth, sheet.clientWidth);
  const left = Math.max(stage.getBoundingClientRect().left, sheet.getBoundingClientRect().left);
  split.value = (100 * (e.clientX - left)) / seen;
  divide();
});
split.addEventListener("input", divide);
stage.addEventListener("scroll", divide);
new ResizeObserver(divide).observe(stage);

show.addEventListener("click", () => {
  const on = canvas.hidden;
  canvas.hidden = !on;
  get("brushes").hidden = !on;
  bar.hidden = on;
  ring.hidden = true;
  show.setAttribute("aria-pressed", String(on));
  if (on) at = { x: canvas.width / 2, y: canvas.height / 2 };
});
get("paint").addEventListener("click", () => { erasing = false; press(get("paint"), get("erase")); });
get("erase").addEventListener("click", () => { erasing = true; press(get("erase"), get("paint")); });
get("clear").addEventListener("click", () => pen.clearRect(0, 0, canvas.width, canvas.height));
get("back").addEventListener("click", draw);
get("use").addEventListener("click", () => trigger("painted", { mask: canvas.toDataURL("image/png") }));

canvas.addEventListener("pointerdown", (e) => {
  canvas.setPointerCapture(e.pointerId);
  last = at = pointed(e);
  stroke(last, last);
});
canvas.addEventListener("pointermove", (e) => {
  at = pointed(e);
  if (last) { stroke(last, at); last = at; }
  if (e.pointerType === "mouse") { ring.hidden = false; circle(); }
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) { ring.hidden = false; circle(); } });
for (const end of ["pointerleave", "blur"]) canvas.addEventListener(end, () => { ring.hidden = true; });
canvas.addEventListener("keydown", (e) => {
  const step = (size.value / 2) * scale();
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
  if (way) {
    at.x = Math.min(Math.max(at.x + way[0] * step, 0), canvas.width);
    at.y = Math.min(Math.max(at.y + way[1] * step, 0), canvas.height);
  } else if (e.key === " " || e.key === "Enter") stroke(at, at);
  else return;
  e.preventDefault();
  ring.hidden = false;
  circle();
});

watch("value", update);
update();
