import type { Decision } from '../../sdk/client/api.ts';
import type { ScaleStatus } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { OnFailure, WatchedBlock } from '../block/index.ts';
import type { NewDecision } from '../decision/index.ts';
import { autoscale, createNovelty } from './autoscale.ts';
import { chosen } from './chosen.ts';
import { createFailureHandler } from './failures.ts';
import { defaultsOf, type ScalingParts } from './parts.ts';
import { checkBlock, checkCluster } from './stability.ts';

/** Watches what runs, and asks the policies that somebody chose what should be otherwise. */
export interface Scaling {
  /** Asks a block's autoscaler now. @throws {AiosError} NOT_FOUND */
  autoscale(tenant: string, blockId: string): Promise<Decision>;
  /** What a person asked for; told like what a policy decides. @throws {AiosError} as {@link createScaleBlock} does */
  scale(tenant: string, blockId: string, instances: number): Promise<ScaleStatus>;
  readonly onFailure: OnFailure;
  /** Asks everybody whose time has come; the platform does it once a second. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

interface Due {
  nextAt: number;
  running: boolean;
}

const tickMs = 1000;

export function createScaling(
  parts: ScalingParts & {
    /** Milliseconds that only grow. @default performance.now */
    readonly clock?: () => number;
  },
): Scaling {
  const { blocks, inventory, cordons, metrics, decisions, log } = parts;
  const clock = parts.clock ?? (() => performance.now());
  const due = new Map<string, Due>();
  const novelty = createNovelty();
  const running = new Set<Promise<void>>();
  let closed = false;

  function note(decision: NewDecision | undefined): void {
    if (decision && novelty.isNew(decision)) decisions.record(decision);
  }

  function follow(what: string, task: () => Promise<void>): void {
    const run = task()
      .catch((error: unknown) => log(`${what}: ${AiosError.from(error).message}`))
      .finally(() => running.delete(run));
    running.add(run);
  }

  /** One at a time of each. After a restart a cluster's checker is asked at once: what it said before may be long ago. */
  function start(key: string, everyMs: number, task: () => Promise<void>, firstMs = everyMs): void {
    const now = clock();
    const known = due.get(key);
    const entry = known ?? { nextAt: now + firstMs, running: false };
    due.set(key, entry);
    // A shorter interval counts at once.
    entry.nextAt = Math.min(entry.nextAt, now + everyMs);
    if (entry.running || now < entry.nextAt) return;
    entry.nextAt = now + everyMs;
    entry.running = true;
    follow(key, () =>
      task().finally(() => {
        entry.running = false;
      }),
    );
  }

  function startBlock(block: WatchedBlock, seen: Set<string>): void {
    const { tenant, view, declared, clusterId } = block;
    const levels = [declared.policies, ...defaultsOf(parts, tenant, clusterId)] as const;
    const again = (): WatchedBlock | undefined => blocks.watched(tenant, view.id);
    const jobs = {
      autoscaler: async (now: WatchedBlock) => note(await autoscale(parts, now)),
      stabilityChecker: async (now: WatchedBlock) => note(await checkBlock(parts, now)),
    };
    for (const hook of ['autoscaler', 'stabilityChecker'] as const) {
      const choice = chosen(hook, ...levels);
      if (!choice) continue;
      const key = JSON.stringify([hook, tenant, `block/${view.id}`]);
      seen.add(key);
      start(key, choice.everyMs, async () => {
        const now = again();
        if (now) await jobs[hook](now);
      });
    }
  }

  async function tick(): Promise<void> {
    if (closed) return;
    const seen = new Set<string>();
    for (const block of blocks.allWatched()) startBlock(block, seen);
    for (const tenant of inventory.tenants()) {
      for (const { spec } of inventory.clusters(tenant)) {
        const choice = chosen('stabilityChecker', spec.policies, parts.network(tenant));
        if (!choice) {
          // Nobody is left who would lift what a checker said.
          if (cordons.of(tenant, spec.id).some(({ by }) => by !== 'operator')) {
            follow(`cluster/${spec.id}`, () => cordons.said(tenant, spec.id, []));
          }
          continue;
        }
        const key = JSON.stringify(['stabilityChecker', tenant, `cluster/${spec.id}`]);
        seen.add(key);
        start(key, choice.everyMs, async () => note(await checkCluster(parts, tenant, spec.id)), 0);
      }
    }
    for (const key of due.keys()) if (!seen.has(key)) due.delete(key);
    novelty.keepOnly(
      new Set([...seen].map((key) => JSON.stringify((JSON.parse(key) as string[]).slice(1)))),
    );
    await Promise.all(running);
  }

  const timer = setInterval(() => void tick(), tickMs).unref();
  return {
    tick,
    onFailure: createFailureHandler(parts),
    async autoscale(tenant, blockId) {
      await metrics.collect();
      const block = blocks.watched(tenant, blockId);
      if (!block) throw new AiosError('NOT_FOUND', `block '${blockId}' does not exist.`);
      const decision = await autoscale(parts, block);
      return decisions.record(decision);
    },
    async scale(tenant, blockId, instances) {
      const before = blocks.watched(tenant, blockId)?.declared.wanted;
      const status = await parts.scale({ tenant, blockId, instances, by: 'request' });
      const { minInstances, maxInstances } = status;
      const changed = before !== status.instances;
      const count = changed ? `${before ?? '?'} → ${status.instances} instances` : `${before} stay`;
      decisions.record({
        ...{ tenant, kind: 'scaling', subject: `block/${blockId}`, blockId, reason: 'scale' },
        ...{
          evaluations: [],
          outcome: changed ? 'changed' : 'held',
          message: `${count}, by request`,
        },
        details: {
          before,
          minInstances,
          maxInstances,
          asked: instances,
          instances: status.instances,
        },
      });
      return status;
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}
