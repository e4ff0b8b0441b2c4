import type { Alarm } from './alarm.ts';
import type { Failures } from './failures.ts';
import type { HealOrder } from './heal-order.ts';
import type { Instance } from './instance.ts';
import { failedGraceMs } from './instance-set.ts';
import type { Moving } from './move-instances.ts';

export interface Healing extends Pick<Moving, 'set' | 'orders'> {
  readonly failures: Failures;
  /** @param inARow - failures, these counted as one */
  readonly ask: (failed: Instance, inARow: number) => Promise<HealOrder | undefined> | undefined;
  readonly log: (line: string) => void;
}

/** Says of every place that was lost and is served again: by whom, since when, and why it was lost. */
function tellReplaced({ set, failures, log }: Healing): void {
  for (const { instanceId, text } of failures.replacements.ready((id) => set.get(id))) {
    log(text);
    set.get(instanceId)?.note(text);
  }
}

/**
 * Ends instances that failed and gives back what they held, but for those that are to be elsewhere: they keep their
 * places until others have theirs.
 *
 * @returns whether a place is missed
 */
export async function endFailed(healing: Healing): Promise<boolean> {
  const { set, orders, failures, ask, log } = healing;
  tellReplaced(healing);
  const failed = set.all.filter(({ id, state }) => state === 'failed' && !failures.leaving.has(id));
  // A place that was to take another's is missed by nobody: the other is still there.
  const { successors } = orders;
  const missed = failed.filter(({ id }) => !successors.has(id));
  const [first] = missed;
  if (first) {
    for (const { lastError } of missed) log(lastError ?? 'an instance failed');
    await failures.add(missed, (inARow) => ask(first, inARow));
  }
  await set.end(
    failed.filter(({ id }) => !failures.leaving.has(id)),
    failedGraceMs,
  );
  return first !== undefined;
}

/** Finds other places for those that failed and are to be elsewhere; where there is none, they come back where they can. */
export async function moveFailed(
  moving: Omit<Moving, 'orders'> & { readonly failures: Failures; readonly alarm: Alarm },
): Promise<void> {
  const { set, failures, alarm, decisions, find, start } = moving;
  const { waitMs } = failures;
  if (waitMs > 0) {
    if (failures.leaving.size > 0) alarm.in(waitMs);
    return;
  }
  for (const [instanceId, reason] of failures.leaving) {
    const old = set.get(instanceId);
    if (old) {
      const { nodeId, restarts } = old.document;
      const outcome = await find({
        ...{ count: 1, restarts: [restarts + 1], reason: 'reassign' },
        reassigned: { instanceId, nodeId, reason },
      });
      if (outcome.created) {
        failures.replacements.filled(instanceId, outcome.created[0]?.id);
        start(outcome);
      } else {
        decisions.record(outcome.decision);
        failures.vacate([old]);
      }
      await set.end([old], failedGraceMs);
    }
    failures.leaving.delete(instanceId);
  }
}
