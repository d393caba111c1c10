// The stream of events: whether it goes on, why not, and how it is found again.

/// Events come five times a second: after this long without one, what is shown is not live.
const LOST_AFTER_MS = 1500;
/// For so long the node has an event written. Who is silent for longer is gone, though nobody said so: a Wi-Fi or a VPN that ends
/// closes no connection.
const GIVE_UP_AFTER_MS = 10_000;
/// A connection that takes longer to open is one that the browser has kept from before, dead as well: the next may be another.
const OPENS_WITHIN_MS = 4000;
const ASK_AGAIN_AFTER_MS = 2000;

/// What is waited for, by the state of the source.
const PATIENCE_MS = {
  [EventSource.CONNECTING]: OPENS_WITHIN_MS,
  [EventSource.OPEN]: GIVE_UP_AFTER_MS,
  [EventSource.CLOSED]: ASK_AGAIN_AFTER_MS,
};

export class Connection {
  #source = null;
  #take;
  #followedMs = -Infinity;
  #eventMs = -Infinity;
  /// Why no events come, in words.
  why = "no connection yet";

  /// Gives `take` the text of each event.
  constructor(take) {
    this.#take = take;
    this.#follow();
  }

  /// Since the last event; infinite before the first.
  get silentMs() {
    return performance.now() - this.#eventMs;
  }

  get isLive() {
    return this.silentMs < LOST_AFTER_MS;
  }

  /// Begins anew where nothing is to be hoped for. To be called now and then.
  look() {
    const state = this.#source.readyState;
    const waitedMs = performance.now() - Math.max(this.#followedMs, this.#eventMs);
    if (waitedMs < PATIENCE_MS[state]) return;
    if (state !== EventSource.CLOSED) this.why = "no events came, trying again";
    this.#follow();
  }

  #follow() {
    this.#source?.close();
    this.#followedMs = performance.now();
    const source = (this.#source = new EventSource("live/events"));
    source.onopen = () => (this.why = "no events come");
    source.onmessage = ({ data }) => {
      this.#eventMs = performance.now();
      this.#take(data);
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#askWhy(source);
      else this.why = "trying again";
    };
  }

  /// A browser gives up where it is refused, and does not say why.
  async #askWhy(source) {
    const asking = new AbortController();
    let reason = "trying again";
    try {
      const answer = await fetch("live/events", { signal: asking.signal });
      if (!answer.ok) reason = `${answer.status}: ${(await answer.text()).trim()}`;
    } catch {
      // Gone meanwhile.
    } finally {
      asking.abort();
    }
    if (source === this.#source) this.why = reason;
  }
}
