import { z } from 'zod';
import type { ShardCounters } from '../../sdk/client/api.ts';
import type { InstanceSelfStatus } from '../dataplane/index.ts';

/** What an instance says of itself, as far as it makes sense. */
export type SelfReport = Pick<InstanceSelfStatus, 'error' | 'health' | 'counters'> & {
  readonly state?: InstanceSelfStatus['state'];
  readonly emptyResidentBytes: number;
  /** Not looked at yet. */
  readonly spans: readonly unknown[];
};

/** It has one for each shard and driver that it talks to. */
const maxLinks = 256;
const maxTextLength = 2000;

/** Sums and products of such numbers stay finite. */
const amount = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER);
const count = amount.catch(0);
const text = z.string().transform((all) => all.slice(0, maxTextLength));
const link = z.object({
  peerId: z.string().max(256),
  latencyMs: amount,
  bytesPerSecond: amount.min(1).optional().catch(undefined),
});
type Link = NonNullable<ShardCounters['links']>[number];

const links = z.array(z.unknown()).transform((all) =>
  all.slice(0, maxLinks).flatMap((one): Link[] => {
    const read = link.safeParse(one);
    if (!read.success) return [];
    const { bytesPerSecond, ...rest } = read.data;
    return [bytesPerSecond === undefined ? rest : { ...rest, bytesPerSecond }];
  }),
);

/** Each of them, so that one that is added to the type is not forgotten here. */
const counts = {
  ...{ openSessions: count, maxOpenSessions: count, sessionsOpened: count, sessionsClosed: count },
  ...{ steps: count, tokens: count, sessionSwitches: count, framesIn: count, framesOut: count },
  ...{ bytesIn: count, bytesOut: count, payloadCopies: count, maxQueuedFrames: count },
  ...{ queuedSteps: count, maxSessions: count, kvTokens: count, sharedTokens: count },
  ...{ kvMoves: count, decodeSteps: count, decodeBatches: count, maxBatchSteps: count },
  ...{ prefillChunks: count, prefillTokens: count, outputCopies: count, computeMs: count },
  ...{ waitMs: count, lastBatchSteps: count, kvCapacityTokens: count, countedAtMs: count },
  decodeMs: count,
} satisfies Record<Exclude<keyof ShardCounters, 'weightBytes' | 'links'>, typeof count>;

const counters = z
  .object({
    ...counts,
    weightBytes: amount.optional().catch(undefined),
    links: links.optional().catch(undefined),
  })
  .transform(
    ({ weightBytes, links: ways, ...rest }): ShardCounters => ({
      ...rest,
      ...(weightBytes === undefined ? {} : { weightBytes }),
      ...(ways === undefined ? {} : { links: ways }),
    }),
  );

const error = z.object({ code: text.catch(''), message: text });
const health = z
  .object({ status: z.enum(['healthy', 'unhealthy']), reason: text.optional().catch(undefined) })
  .transform(({ status, reason }) => (reason === undefined ? { status } : { status, reason }));
const report = z
  .object({
    state: z.enum(['loading', 'ready', 'draining', 'failed']).optional().catch(undefined),
    emptyResidentBytes: count,
    error: error.optional().catch(undefined),
    health: health.optional().catch(undefined),
    counters: counters.optional().catch(undefined),
    spans: z.array(z.unknown()).catch([]),
  })
  .catch({ emptyResidentBytes: 0, spans: [] });

/** An instance says what it likes: what makes no sense is left out, and the rest is taken. */
export function readSelfReport(said: unknown): SelfReport {
  const { state, error, health, counters, ...rest } = report.parse(said);
  return {
    ...rest,
    ...(state === undefined ? {} : { state }),
    ...(error === undefined ? {} : { error }),
    ...(health === undefined ? {} : { health }),
    ...(counters === undefined ? {} : { counters }),
  };
}
