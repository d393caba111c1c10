// A minute of values, and how they are drawn.

const WINDOW_MS = 60_000;
const CAPACITY = 320;

/// When each event came: every history has one value for each of them.
export class Ticks {
  #times = new Float64Array(CAPACITY);
  count = 0;

  add(timeMs) {
    this.#times[this.count % CAPACITY] = timeMs;
    this.count += 1;
  }

  time(tick) {
    return this.#times[tick % CAPACITY];
  }

  get first() {
    return Math.max(0, this.count - CAPACITY);
  }
}

/// The values of the last minute; NaN where there was none.
export class History {
  #values = new Float32Array(CAPACITY).fill(NaN);
  #next = 0;

  /// Takes the value of a tick, null if there was none. Ticks in between had none either.
  set(tick, value) {
    const from = Math.max(this.#next, tick - CAPACITY);
    for (let missed = from; missed < tick; missed += 1) this.#values[missed % CAPACITY] = NaN;
    this.#values[tick % CAPACITY] = value ?? NaN;
    this.#next = tick + 1;
  }

  get(tick) {
    return tick < this.#next ? this.#values[tick % CAPACITY] : NaN;
  }
}

const colours = {};

/// The colours of the page as it is now, light or dark.
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["robot", "twin", "muted", "line"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

/// Where the ends of the scale stand, left of the lines.
const SCALE_PX = 46;

/// Nothing is drawn across a pause: who did not look, or lost the connection, has no values of it.
const PAUSE_MS = 1500;

/// A canvas with one or two lines. It is drawn only while it can be seen.
export class Plot {
  #canvas;
  #lines;
  #hasScale;
  #size = null;
  isVisible = false;

  constructor(canvas, lines, { hasScale = true } = {}) {
    this.#canvas = canvas;
    this.#lines = lines;
    this.#hasScale = hasScale;
    canvas.plot = this;
    seen.observe(canvas);
    sized.observe(canvas);
  }

  resize(width, height) {
    const ratio = devicePixelRatio || 1;
    this.#size = { width, height };
    this.#canvas.width = Math.max(1, Math.round(width * ratio));
    this.#canvas.height = Math.max(1, Math.round(height * ratio));
    this.#canvas.getContext("2d").scale(ratio, ratio);
  }

  forget() {
    seen.unobserve(this.#canvas);
    sized.unobserve(this.#canvas);
  }

  draw(ticks, nowMs) {
    if (!this.isVisible || !this.#size) return;
    const context = this.#canvas.getContext("2d");
    const { width, height } = this.#size;
    context.clearRect(0, 0, width, height);
    const range = this.#range(ticks);
    context.fillStyle = colours.line;
    context.fillRect(0, height - 1, width, 1);
    if (!range) return;
    const left = this.#hasScale ? SCALE_PX : 0;
    const place = { left, width: width - left, height, nowMs };
    this.#lines.forEach((history, index) => drawLine(context, ticks, history, range, place, index));
    if (this.#hasScale) drawScale(context, range, height);
  }

  #range(ticks) {
    let [low, high] = [Infinity, -Infinity];
    for (const history of this.#lines) {
      for (let tick = ticks.first; tick < ticks.count; tick += 1) {
        const value = history.get(tick);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return low <= high ? { low, high } : null;
  }
}

function drawLine(context, ticks, history, { low, high }, { left, width, height, nowMs }, index) {
  // What does not move is a line in the middle.
  const y = (value) => (high > low ? height - 3 - ((value - low) / (high - low)) * (height - 6) : height / 2);
  context.beginPath();
  let before = null;
  for (let tick = ticks.first; tick < ticks.count; tick += 1) {
    const value = history.get(tick);
    const timeMs = ticks.time(tick);
    if (Number.isNaN(value)) {
      before = null;
      continue;
    }
    if (nowMs - timeMs > WINDOW_MS) continue;
    const x = left + width * (1 - (nowMs - timeMs) / WINDOW_MS);
    if (before !== null && timeMs - before < PAUSE_MS) context.lineTo(x, y(value));
    else context.moveTo(x, y(value));
    before = timeMs;
  }
  context.strokeStyle = index === 0 ? colours.robot : colours.twin;
  context.lineWidth = 1.5;
  context.setLineDash(index === 0 ? [] : [5, 3]);
  context.stroke();
  context.setLineDash([]);
}

function drawScale(context, { low, high }, height) {
  context.fillStyle = colours.muted;
  context.font = "10px system-ui, sans-serif";
  context.fillText(high.toPrecision(3), 2, 10);
  if (high > low) context.fillText(low.toPrecision(3), 2, height - 4);
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.plot.isVisible = isIntersecting;
});

const sized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.plot.resize(contentRect.width, contentRect.height);
});
