// The table of topics.

import { instance, isOpened, keepReachable, number, seconds, setData, setText } from "./dom.js";
import { History, Plot } from "./plot.js";

/// A shape and a level for each status: the word alone says which it is.
const LOOKS = {
  ok: ["●", "ok"],
  late: ["▲", "warn"],
  too_slow: ["▼", "warn"],
  too_fast: ["▲", "warn"],
  graph_only: ["◇", "warn"],
  stale: ["■", "bad"],
  silent: ["□", "bad"],
  no_publisher: ["✖", "bad"],
  type_mismatch: ["≠", "bad"],
  qos_incompatible: ["≠", "bad"],
};

export class Topics {
  #body = document.querySelector("#topics tbody");
  #count = document.getElementById("topics-count");
  #rows = new Map();

  /// Takes what an event says; returns the changes of status, in words.
  take(domains, tick) {
    const changes = [];
    const present = new Set();
    for (const { domain, topics } of domains) {
      for (const topic of topics) {
        const key = `${domain} ${topic.name}`;
        present.add(key);
        const row = this.#rows.get(key) ?? this.#add(key, domain, topic);
        const change = row.take(topic, tick);
        if (change) changes.push(change);
      }
    }
    for (const [key, row] of this.#rows) if (!present.has(key)) this.#remove(key, row);
    return changes;
  }

  show(frame) {
    let [shown, alarms] = [0, 0];
    for (const row of this.#rows.values()) {
      row.show(frame);
      if (!row.root.hidden) shown += 1;
      if (row.isAlarm) alarms += 1;
    }
    const total = this.#rows.size;
    const which = shown === total ? `${total}` : `${shown} of ${total}`;
    setText(this.#count, `${which}${alarms ? `, ${alarms} not as they should be` : ""}`);
    keepReachable(this.#body);
  }

  #add(key, domain, topic) {
    const row = new TopicRow(domain, topic);
    this.#rows.set(key, row);
    const keys = [...this.#rows.keys()].sort();
    const next = this.#rows.get(keys[keys.indexOf(key) + 1]);
    this.#body.insertBefore(row.root, next?.root ?? null);
    return row;
  }

  #remove(key, row) {
    row.remove();
    this.#rows.delete(key);
  }
}

class TopicRow {
  #topic;
  #domain;
  #rate = new History();
  #age = new History();
  #parts;
  #plots;
  #details = null;

  constructor(domain, topic) {
    this.#domain = domain;
    this.#topic = { ...topic, status: null };
    const { root, parts } = instance("topic-template");
    [this.root, this.#parts] = [root, parts];
    this.#plots = [
      new Plot(parts["rate-plot"], [this.#rate], { hasScale: false }),
      new Plot(parts["age-plot"], [this.#age], { hasScale: false }),
    ];
    setText(parts.name, topic.name);
    root.dataset.topic = topic.name;
    root.addEventListener("click", () => this.#toggle());
  }

  get isAlarm() {
    return this.#topic.is_alarm;
  }

  take(topic, tick) {
    const before = this.#topic.status;
    this.#topic = topic;
    this.#rate.set(tick, topic.rate_hz);
    this.#age.set(tick, topic.age_seconds);
    return before && before !== topic.status ? `${topic.name}: ${topic.status}, ${topic.reason}` : null;
  }

  show(frame) {
    const topic = this.#topic;
    const isHidden = !frame.matches(`${topic.name} ${topic.status} ${topic.reason} ${topic.type}`);
    if (this.root.hidden !== isHidden) this.root.hidden = isHidden;
    if (this.#details) this.#details.root.hidden = isHidden;
    const [shape, level] = LOOKS[topic.status] ?? ["◇", "warn"];
    setData(this.root, "level", topic.is_alarm || level === "ok" ? level : "gone");
    setData(this.root, "status", topic.status);
    const parts = this.#parts;
    setText(parts.shape, shape);
    setText(parts.status, topic.status);
    setText(parts.reason, topic.status === "ok" ? "" : topic.reason);
    setText(parts.domain, frame.hasManyDomains ? `domain ${this.#domain}` : "");
    if (isHidden) return;
    setText(parts.rate, frame.isLive ? number(topic.rate_hz, "Hz", 1) : "–");
    setText(parts.age, seconds(topic.age_seconds === null ? null : topic.age_seconds + frame.dataAgeSeconds));
    this.#details?.show(topic);
    if (frame.drawsPlots) for (const plot of this.#allPlots()) plot.draw(frame.ticks, frame.nowMs);
  }

  #allPlots() {
    return [...this.#plots, ...(this.#details?.plots ?? [])];
  }

  #toggle() {
    if (isOpened(this.root)) {
      this.#details = new Details([this.#rate, this.#age]);
      this.#details.show(this.#topic);
      this.root.after(this.#details.root);
    } else {
      this.#closeDetails();
    }
  }

  #closeDetails() {
    this.#details?.remove();
    this.#details = null;
  }

  remove() {
    this.#closeDetails();
    for (const plot of this.#plots) plot.forget();
    this.root.remove();
  }
}

/// What is told below a row that is open.
class Details {
  #parts;

  constructor([rate, age]) {
    const { root, parts } = instance("details-template");
    [this.root, this.#parts] = [root, parts];
    this.plots = [new Plot(parts["rate-plot"], [rate]), new Plot(parts["age-plot"], [age])];
  }

  show(topic) {
    setText(this.#parts.type, topic.type || "–");
    for (const part of ["publishers", "subscriptions", "lost"]) setText(this.#parts[part], String(topic[part]));
  }

  remove() {
    for (const plot of this.plots) plot.forget();
    this.root.remove();
  }
}
