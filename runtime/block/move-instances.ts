import type { DecisionLog } from '../decision/index.ts';
import type { InstanceSet } from './instance-set.ts';
import type { Orders } from './orders.ts';
import type { PlacingOutcome, PlacingRequest } from './place-instances.ts';

export interface Moving {
  readonly set: InstanceSet;
  readonly orders: Orders;
  readonly decisions: DecisionLog;
  readonly find: (
    what: Pick<PlacingRequest, 'count' | 'restarts' | 'reason' | 'reassigned'>,
  ) => Promise<PlacingOutcome>;
  readonly start: (outcome: PlacingOutcome) => void;
}

/** Finds new places for instances that are to be elsewhere, and ends the old ones of which the new one is ready. */
export async function moveInstances({ set, orders, decisions, find, start }: Moving) {
  for (const [successor, instanceId] of orders.successors) {
    if (set.get(successor)?.state !== 'ready') continue;
    orders.settle(instanceId, true);
    const old = set.get(instanceId);
    if (old) await set.retire([old]);
  }
  for (const { instanceId, reason, anywhere } of orders.toMove) {
    const old = set.get(instanceId);
    if (!old) continue;
    const { nodeId, restarts } = old.document;
    const outcome = await find({
      ...{ count: 1, restarts: [restarts], reason: 'reassign' },
      reassigned: { instanceId, reason, ...(anywhere ? {} : { nodeId }) },
    });
    const [successor] = outcome.created ?? [];
    if (successor) {
      orders.started(instanceId, successor.id);
      start(outcome);
    } else {
      orders.settle(instanceId, false);
      // What is out of date goes first where there is no room for both.
      if (anywhere) await set.retire([old]);
      else decisions.record(outcome.decision);
    }
  }
}
