// Follows the events of monitoring_node and shows them: once a frame at most, and only what has changed.

import { Connection } from "./connection.js";
import { focusRow, seconds, setText, visibleRows, walkRows } from "./dom.js";
import { Joints } from "./joints.js";
import { Ticks, readColours } from "./plot.js";
import { Topics } from "./topics.js";
import { Twins } from "./twins.js";

const LOOK_EVERY_MS = 250;
/// A ROS thread that has not turned for so long tells no news of topics.
const SILENT_SECONDS = 2;
/// More changes at once are told by their number.
const CHANGES_MAX = 3;
/// Who wants less motion has plots drawn less often.
const CALM_EVERY_MS = 1000;

const [topics, joints, twins, ticks] = [new Topics(), new Joints(), new Twins(), new Ticks()];
const filter = document.getElementById("filter");
const prefersCalm = matchMedia("(prefers-reduced-motion: reduce)");

let hasManyDomains = false;
let isFrameAsked = false;
let drawnMs = -Infinity;

function take(text) {
  const event = JSON.parse(text);
  const nowMs = performance.now();
  hasManyDomains = event.domains.length > 1;
  const tick = ticks.count;
  ticks.add(nowMs);
  const changes = [...twins.take(event.domains, tick), ...topics.take(event.domains, tick)];
  joints.take(event, tick, nowMs);
  tellOfSilence(event.silent_seconds);
  announce(changes);
  setConnection("live");
  askForFrame();
}

function askForFrame() {
  if (isFrameAsked) return;
  isFrameAsked = true;
  requestAnimationFrame(show);
}

function show() {
  isFrameAsked = false;
  const nowMs = performance.now();
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const drawsPlots = !prefersCalm.matches || nowMs - drawnMs >= CALM_EVERY_MS;
  if (drawsPlots) drawnMs = nowMs;
  const { isLive, silentMs } = connection;
  const frame = {
    nowMs,
    ticks,
    drawsPlots,
    hasManyDomains,
    isLive,
    // What is shown is as old as the last event, and older by what it said of ages.
    dataAgeSeconds: isLive ? 0 : silentMs / 1000,
    matches: (text) => words.every((word) => text.toLowerCase().includes(word)),
  };
  twins.show(frame);
  topics.show(frame);
  joints.show(frame);
}

function setConnection(state) {
  if (document.body.dataset.connection === state) return;
  document.body.dataset.connection = state;
  setText(document.getElementById("connection-text"), state === "live" ? "live" : "connection lost: nothing here is live");
  setText(document.getElementById("data-age"), "");
}

function tellOfSilence(silentSeconds) {
  const silence = document.getElementById("silence");
  silence.hidden = silentSeconds < SILENT_SECONDS;
  if (!silence.hidden) setText(silence, "monitoring_node's ROS thread stands still: statuses are not live");
}

function announce(changes) {
  if (changes.length === 0) return;
  const text = changes.length > CHANGES_MAX ? `${changes.length} topics and twins have changed their state` : changes.join("; ");
  setText(document.getElementById("announcements"), text);
}

function lookAtConnection() {
  connection.look();
  const { isLive, silentMs, why } = connection;
  if (isLive) return;
  setConnection("lost");
  const age = Number.isFinite(silentMs) ? `as of ${seconds(silentMs / 1000)} ago; ` : "";
  setText(document.getElementById("data-age"), `(${age}${why})`);
  askForFrame();
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "/" && event.target !== filter) {
    filter.focus();
    filter.select();
    event.preventDefault();
  } else if (event.key === "Escape" && filter.value !== "") {
    filter.value = "";
    askForFrame();
  } else if (event.key === "ArrowDown" && event.target === filter) {
    focusRow(visibleRows(document.querySelector("main"))[0]);
    event.preventDefault();
  }
}

readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
for (const rows of document.querySelectorAll("[data-rows]")) walkRows(rows);
document.addEventListener("keydown", onKey);
filter.addEventListener("input", askForFrame);
const connection = new Connection(take);
setInterval(lookAtConnection, LOOK_EVERY_MS);
