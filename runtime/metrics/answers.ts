import type { ModelServing } from '../../sdk/client/api.ts';
import { Histogram, type HistogramReading } from './histogram.ts';

/** Where the time of a token went, on average over an answer. */
export const tokenParts = ['compute', 'wait', 'wire', 'driver'] as const;
export type TokenPart = (typeof tokenParts)[number];

/** One request to a language model, from its arrival to its end. */
export interface AnswerTrack {
  /** It has a place. @param slots - answers that all shards of the model have room for; undefined: not known */
  admitted(waitedMs: number, slots: number | undefined): void;
  firstToken(timeToFirstTokenMs: number, promptTokens: number): void;
  /** One after the first. */
  token(tokenMs: number): void;
  /** On average of the tokens after the first. */
  parts(parts: Readonly<Record<`${TokenPart}Ms`, number>>): void;
  /** Once, whatever became of it. */
  ended(outcome: 'ok' | 'busy' | 'failed' | 'cancelled'): void;
}

/** Told of every request to a language model. */
export interface AnswerRecorder {
  begin(tenant: string, modelUri: string): AnswerTrack;
}

/** What is known of one model's answers. Seconds. */
export interface AnswerHistograms {
  readonly timeToFirstToken: HistogramReading;
  readonly tokenTime: HistogramReading;
  readonly admissionWait: HistogramReading;
  readonly parts: Readonly<Record<TokenPart, HistogramReading>>;
}

export interface AnswerTallies extends AnswerRecorder {
  serving(tenant: string, modelUri: string): ModelServing | undefined;
  histograms(tenant: string, modelUri: string): AnswerHistograms | undefined;
  uris(tenant: string): readonly string[];
}

const longBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const tokenBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** A model's URI may be anything that a client asks for; past this many, answers are not counted. */
const maxModels = 2000;

type Counts = { -readonly [Name in keyof ModelServing]: ModelServing[Name] };

class Tally {
  readonly counts: Counts = {
    ...{ waiting: 0, openSessions: 0, answersTotal: 0, busyTotal: 0 },
    ...{ promptTokensTotal: 0, tokensTotal: 0, firstTokensTotal: 0, timeToFirstTokenMsTotal: 0 },
  };
  readonly timeToFirstToken = new Histogram(longBounds);
  readonly tokenTime = new Histogram(tokenBounds);
  readonly admissionWait = new Histogram(longBounds);
  readonly parts: Readonly<Record<TokenPart, Histogram>> = {
    compute: new Histogram(tokenBounds),
    wait: new Histogram(tokenBounds),
    wire: new Histogram(tokenBounds),
    driver: new Histogram(tokenBounds),
  };
}

function track(tally: Tally): AnswerTrack {
  const { counts } = tally;
  let state: 'waiting' | 'open' | 'ended' = 'waiting';
  counts.waiting += 1;
  return {
    admitted(waitedMs, slots) {
      if (state !== 'waiting') return;
      state = 'open';
      counts.waiting -= 1;
      counts.openSessions += 1;
      if (slots !== undefined) counts.slots = slots;
      tally.admissionWait.observe(waitedMs / 1000);
    },
    firstToken(timeToFirstTokenMs, promptTokens) {
      counts.promptTokensTotal += promptTokens;
      counts.tokensTotal += 1;
      counts.firstTokensTotal += 1;
      counts.timeToFirstTokenMsTotal += timeToFirstTokenMs;
      tally.timeToFirstToken.observe(timeToFirstTokenMs / 1000);
    },
    token(tokenMs) {
      counts.tokensTotal += 1;
      tally.tokenTime.observe(tokenMs / 1000);
    },
    parts(parts) {
      for (const part of tokenParts) tally.parts[part].observe(parts[`${part}Ms`] / 1000);
    },
    ended(outcome) {
      if (state === 'waiting') counts.waiting -= 1;
      if (state === 'open') counts.openSessions -= 1;
      if (state !== 'ended') {
        if (outcome === 'ok') counts.answersTotal += 1;
        if (outcome === 'busy') counts.busyTotal += 1;
      }
      state = 'ended';
    },
  };
}

export function createAnswerTallies(): AnswerTallies {
  const tallies = new Map<string, { readonly tenant: string; uri: string; tally: Tally }>();
  const keyOf = (tenant: string, uri: string) => JSON.stringify([tenant, uri]);
  const find = (tenant: string, uri: string) => tallies.get(keyOf(tenant, uri))?.tally;

  return {
    begin(tenant, uri) {
      const tally = find(tenant, uri) ?? new Tally();
      if (tallies.size < maxModels) tallies.set(keyOf(tenant, uri), { tenant, uri, tally });
      return track(tally);
    },
    serving(tenant, uri) {
      const tally = find(tenant, uri);
      return tally && { ...tally.counts };
    },
    histograms(tenant, uri) {
      const tally = find(tenant, uri);
      if (!tally) return undefined;
      const { compute, wait, wire, driver } = tally.parts;
      return {
        timeToFirstToken: tally.timeToFirstToken.read(),
        tokenTime: tally.tokenTime.read(),
        admissionWait: tally.admissionWait.read(),
        parts: {
          ...{ compute: compute.read(), wait: wait.read() },
          ...{ wire: wire.read(), driver: driver.read() },
        },
      };
    },
    uris: (tenant) =>
      [...tallies.values()]
        .filter((one) => one.tenant === tenant)
        .map(({ uri }) => uri)
        .sort(),
  };
}
