/** How fast a link is, as measured. */
export interface LinkSpeed {
  /** One way, without what a frame's bytes take: half a round trip. */
  readonly latencyMs: number;
  /** Absent until enough bytes were sent to tell. */
  readonly bytesPerSecond?: number;
}

/** Measures a link by the echoes of pings, sent beside real frames; an idle link is left alone. */
export interface LinkMeter {
  readonly speed: LinkSpeed | undefined;
  /** A frame left, and nothing waited before it. */
  sent(bytes: number): void;
  /** The answer to a ping came. */
  echoed(ping: number): void;
}

export interface LinkMeterOptions {
  /** Sends a ping with so many bytes of nothing in it. */
  readonly ping: (ping: number, paddingBytes: number) => void;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** Between two pings, once the link is known. */
const restMs = 1000;
/** An echo that has not come by then never does. */
const lostMs = 10_000;
/** A frame of this size tells of the bandwidth, and so does the ping behind it. */
const tellingBytes = 32 * 2 ** 10;
/** What an unknown link is tried with: more bytes, and several times, only where the first took little time. */
const firstPaddingBytes = 16 * 2 ** 10;
const furtherPaddingBytes = 64 * 2 ** 10;
const furtherTries = 3;
const quickMs = 10;
/** A link that carries small frames alone is tried again now and then, with what takes no longer than `quickMs`. */
const pingsBetweenTries = 16;
const leastPaddingBytes = 4096;
/** Of a round trip: a transfer that took less cannot be told from noise. */
const noiseFraction = 1 / 8;
/** A slow echo may be a busy peer's: it is believed slowly, a quick one at once. */
const slowerWeight = 1 / 8;
const quickerWeight = 1 / 2;
/** Transfers whose quickest counts: what a busy machine adds to one is no property of the link. */
const keptTransfers = 8;

export function createLinkMeter({ ping, now }: LinkMeterOptions): LinkMeter {
  let count = 0;
  let waiting: { readonly sentAtMs: number; readonly bytes: number } | undefined;
  let restUntilMs = Number.NEGATIVE_INFINITY;
  let roundTripMs: number | undefined;
  /** The last few, whole: a round trip that was measured behind other frames is found too long only later. */
  const transfers: { readonly ms: number; readonly bytes: number }[] = [];
  let triesLeft = furtherTries;
  const transferMsOf = (ms: number): number =>
    Math.max(ms - (roundTripMs ?? 0), ms * noiseFraction);
  const msPerByte = (): number | undefined =>
    transfers.length === 0
      ? undefined
      : Math.min(...transfers.map(({ ms, bytes }) => transferMsOf(ms) / bytes));

  function send(paddingBytes: number, bytes: number): void {
    count += 1;
    waiting = { sentAtMs: now(), bytes: bytes + paddingBytes };
    ping(count, paddingBytes);
  }

  function takeRoundTrip(ms: number): void {
    const weight = roundTripMs !== undefined && ms > roundTripMs ? slowerWeight : quickerWeight;
    roundTripMs = roundTripMs === undefined ? ms : roundTripMs + (ms - roundTripMs) * weight;
  }

  /** @returns milliseconds the bytes took */
  function takeTransfer(ms: number, bytes: number): number {
    transfers.push({ ms, bytes });
    if (transfers.length > keptTransfers) transfers.shift();
    return transferMsOf(ms);
  }

  /** What a ping between small frames takes with it. */
  function paddingNow(): number {
    const known = msPerByte();
    if (known === undefined || count % pingsBetweenTries !== 0) return 0;
    return Math.max(leastPaddingBytes, Math.min(furtherPaddingBytes, Math.floor(quickMs / known)));
  }

  return {
    get speed() {
      if (roundTripMs === undefined) return undefined;
      const latencyMs = roundTripMs / 2;
      const known = msPerByte();
      return known === undefined ? { latencyMs } : { latencyMs, bytesPerSecond: 1000 / known };
    },
    sent(bytes) {
      const atMs = now();
      if (waiting ? atMs - waiting.sentAtMs < lostMs : atMs < restUntilMs) return;
      const telling = roundTripMs !== undefined && bytes >= tellingBytes;
      send(telling ? 0 : paddingNow(), telling ? bytes : 0);
    },
    echoed(number) {
      if (number !== count || !waiting) return;
      const atMs = now();
      const { sentAtMs, bytes } = waiting;
      const ms = atMs - sentAtMs;
      waiting = undefined;
      restUntilMs = atMs + restMs;
      if (bytes === 0 || roundTripMs === undefined) {
        takeRoundTrip(ms);
        if (transfers.length === 0) send(firstPaddingBytes, 0);
        return;
      }
      const transferMs = takeTransfer(ms, bytes);
      if (transferMs > quickMs || triesLeft === 0) {
        triesLeft = 0;
        return;
      }
      triesLeft -= 1;
      send(furtherPaddingBytes, 0);
    },
  };
}
