// What synchronization_node says of each twin.

import { instance, keepReachable, number, seconds, setData, setText } from "./dom.js";
import { History, Plot } from "./plot.js";

/// By the level of the diagnostic status.
const LOOKS = [["●", "ok"], ["▲", "warn"], ["✖", "bad"], ["■", "bad"]];
/// It speaks each second.
const OLD_SECONDS = 3;

export class Twins {
  #section = document.getElementById("twins");
  #rows = this.#section.querySelector("[data-rows]");
  #cards = new Map();

  take(domains, tick) {
    const changes = [];
    const present = new Set();
    for (const { domain, synchronizers } of domains) {
      for (const told of synchronizers) {
        const key = `${domain} ${told.node}`;
        present.add(key);
        if (!this.#cards.has(key)) this.#cards.set(key, new Twin(this.#rows));
        const change = this.#cards.get(key).take(told, tick);
        if (change) changes.push(change);
      }
    }
    for (const [key, card] of this.#cards) {
      if (present.has(key)) continue;
      card.remove();
      this.#cards.delete(key);
    }
    this.#section.hidden = this.#cards.size === 0;
    return changes;
  }

  show(frame) {
    for (const card of this.#cards.values()) card.show(frame);
    keepReachable(this.#rows);
  }
}

class Twin {
  #told = null;
  #mean = new History();
  #worst = new History();
  #lag = new History();
  #parts;
  #plots;
  #root;

  constructor(rows) {
    const { root, parts } = instance("twin-template");
    [this.#root, this.#parts] = [root, parts];
    this.#plots = [new Plot(parts["error-plot"], [this.#mean, this.#worst]), new Plot(parts["lag-plot"], [this.#lag])];
    rows.append(root);
  }

  take(told, tick) {
    const before = this.#told?.state;
    this.#told = told;
    const isNews = told.age_seconds < OLD_SECONDS;
    this.#mean.set(tick, isNews ? told.mean_error : null);
    this.#worst.set(tick, isNews ? told.worst_error : null);
    this.#lag.set(tick, isNews ? told.lag_seconds : null);
    return before && before !== told.state ? `${told.node}: ${told.message}` : null;
  }

  show(frame) {
    const [told, parts] = [this.#told, this.#parts];
    const age = told.age_seconds + frame.dataAgeSeconds;
    const isOld = age >= OLD_SECONDS;
    const [shape, level] = LOOKS[told.level] ?? LOOKS[3];
    setData(this.#root, "level", isOld ? "gone" : level);
    setData(this.#root, "state", told.state ?? "");
    this.#root.classList.toggle("is-old", isOld);
    setText(parts.node, told.node);
    setText(parts.shape, shape);
    setText(parts.state, told.state ?? "–");
    const reason = told.message.replace(`${told.state}: `, "");
    setText(parts.message, isOld ? `${reason}; said ${seconds(age)} ago, nothing since` : reason);
    setText(parts.topics, `${told.reference_topic ?? "–"}, twin ${told.twin_topic ?? "–"}`);
    setText(parts.values, values(told));
    if (frame.drawsPlots) for (const plot of this.#plots) plot.draw(frame.ticks, frame.nowMs);
  }

  remove() {
    for (const plot of this.#plots) plot.forget();
    this.#root.remove();
  }
}

function values(told) {
  const of = [
    ["quality", number(told.quality, "")],
    ["mean error", number(told.mean_error, "", 4)],
    ["worst", number(told.worst_error, "", 4)],
    ["lag", number(told.lag_seconds, "s")],
    ["joints", number(told.joints, "", 0)],
    ["missing", number(told.missing_joints, "", 0)],
  ];
  return of.map(([what, value]) => `${what} ${value}`.trim()).join(", ");
}
