// The joints of every topic that has some; those of a twin beside those of its robot.

import { instance, isOpened, keepReachable, number, seconds, setText, walkRows } from "./dom.js";
import { History, Plot } from "./plot.js";

/// A joint that is not told of any more stays in grey for so long.
const FORGET_MS = 60_000;
/// A value that is older is told as such.
const OLD_SECONDS = 1;

export class Joints {
  #container = document.getElementById("joints");
  #count = document.getElementById("joints-count");
  #groups = new Map();
  #leftOut = 0;

  take(event, tick, nowMs) {
    this.#leftOut = event.joints_left_out;
    for (const { domain, joints, synchronizers } of event.domains) {
      const twins = new Map(synchronizers.map((told) => [told.twin_topic, told.reference_topic]));
      const references = new Set(twins.values());
      const topics = new Set(joints.map(({ topic }) => topic));
      for (const values of joints) {
        const reference = twins.get(values.topic);
        const isTwin = reference !== undefined && topics.has(reference);
        const group = this.#group(domain, isTwin ? reference : values.topic, references);
        group.take(values, isTwin, tick, nowMs);
      }
    }
    for (const [key, group] of this.#groups) {
      group.forget(nowMs);
      if (group.isEmpty) {
        group.remove();
        this.#groups.delete(key);
      }
    }
  }

  /// Robots are open from the start; what others derive from them, as errors, once somebody asks.
  #group(domain, topic, references) {
    const key = `${domain} ${topic}`;
    let group = this.#groups.get(key);
    if (!group) {
      group = new Group(domain, topic, references.size === 0 || references.has(topic));
      this.#groups.set(key, group);
      const keys = [...this.#groups.keys()].sort();
      const next = this.#groups.get(keys[keys.indexOf(key) + 1]);
      this.#container.insertBefore(group.root, next?.root ?? null);
    }
    return group;
  }

  show(frame) {
    let joints = 0;
    for (const group of this.#groups.values()) joints += group.show(frame);
    setText(this.#count, `${joints}${this.#leftOut ? `, and at least ${this.#leftOut} more that are too many to show` : ""}`);
  }
}

class Group {
  #joints = new Map();
  #parts;
  #rows;
  #domain;
  #twin = null;
  #topic;

  constructor(domain, topic, isOpen) {
    const { root, parts } = instance("group-template");
    [this.root, this.#parts, this.#domain, this.#topic] = [root, parts, domain, topic];
    this.#rows = root.querySelector("[data-rows]");
    root.open = isOpen;
    root.dataset.topic = topic;
    walkRows(this.#rows);
  }

  get isEmpty() {
    return this.#joints.size === 0;
  }

  take(values, isTwin, tick, nowMs) {
    if (isTwin) this.#twin = values.topic;
    values.names.forEach((name, index) => {
      const sample = {
        position: values.positions[index],
        velocity: values.velocities[index],
        age: values.ages_seconds[index],
      };
      let joint = this.#joints.get(name);
      if (!joint) this.#joints.set(name, (joint = new Joint(name)));
      joint.take(sample, isTwin, tick, nowMs);
    });
  }

  forget(nowMs) {
    for (const [name, joint] of this.#joints) {
      if (nowMs - joint.seenMs < FORGET_MS) continue;
      joint.close();
      this.#joints.delete(name);
    }
  }

  /// Shows the joints that the filter lets through; returns how many there are.
  show(frame) {
    const [root, { name, count }] = [this.root, this.#parts];
    const title = this.#twin ? `${this.#topic}, twin ${this.#twin}` : this.#topic;
    setText(name, frame.hasManyDomains ? `${title}, domain ${this.#domain}` : title);
    setText(count, `${this.#joints.size} joints`);
    for (const joint of this.#joints.values()) {
      if (!root.open) joint.close();
      else joint.show(frame, this.#rows, frame.matches(`${joint.name} ${title}`));
    }
    if (root.open) keepReachable(this.#rows);
    return this.#joints.size;
  }

  remove() {
    this.root.remove();
  }
}

class Joint {
  #robot = { position: new History(), velocity: new History(), sample: null };
  #twin = { position: new History(), velocity: new History(), sample: null };
  #card = null;
  seenMs = 0;

  constructor(name) {
    this.name = name;
  }

  take(sample, isTwin, tick, nowMs) {
    const side = isTwin ? this.#twin : this.#robot;
    // What did not come again is no news: its line ends, its age grows.
    const isNews = sample.age < OLD_SECONDS;
    side.position.set(tick, isNews ? sample.position : null);
    side.velocity.set(tick, isNews ? sample.velocity : null);
    [side.sample, side.takenMs, this.seenMs] = [sample, nowMs, nowMs];
  }

  show(frame, rows, isWanted) {
    const card = (this.#card ??= this.#open(rows));
    if (card.root.hidden === isWanted) card.root.hidden = !isWanted;
    if (!isWanted) return;
    const sides = [["robot", this.#robot], ["twin", this.#twin]].filter(([, { sample }]) => sample);
    const ages = sides.map(([, side]) => side.sample.age + (frame.nowMs - side.takenMs) / 1000);
    const text = sides.map(([who, { sample }], index) => {
      const [position, velocity] = [number(sample.position, ""), number(sample.velocity, "/s")];
      return `${who} ${position}, ${velocity}${ages[index] > OLD_SECONDS ? `, ${seconds(ages[index])} ago` : ""}`;
    });
    setText(card.parts.values, text.join("\n"));
    card.root.classList.toggle("is-old", ages.every((age) => age > OLD_SECONDS));
    if (frame.drawsPlots) for (const plot of card.plots) plot.draw(frame.ticks, frame.nowMs);
  }

  #open(rows) {
    const { root, parts } = instance("joint-template");
    setText(parts.name, this.name);
    root.dataset.joint = this.name;
    root.addEventListener("click", () => isOpened(root));
    const plots = ["position", "velocity"].map(
      (what) => new Plot(parts[`${what}-plot`], [this.#robot[what], this.#twin[what]]),
    );
    const next = [...rows.children].find((row) => row.dataset.joint > this.name);
    rows.insertBefore(root, next ?? null);
    return { root, parts, plots };
  }

  close() {
    if (!this.#card) return;
    for (const plot of this.#card.plots) plot.forget();
    this.#card.root.remove();
    this.#card = null;
  }
}
