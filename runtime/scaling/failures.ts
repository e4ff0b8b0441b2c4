import { AiosError } from '../../sdk/errors.ts';
import type { HealOrder, OnFailure } from '../block/index.ts';
import { useSiteOf } from '../block/index.ts';
import { chosen } from './chosen.ts';
import { defaultsOf, type ScalingParts } from './parts.ts';

const heals: ReadonlySet<string> = new Set(['retry', 'restart', 'reassign']);

/** Asks the block's failure policy, where it has one, what to do about instances that fail in a row. */
export function createFailureHandler(parts: ScalingParts): OnFailure {
  return async (tenant, instance, count) => {
    if (!instance) return undefined;
    const { blockId, clusterId } = instance.document;
    const policies = parts.blocks.watched(tenant, blockId)?.declared.policies;
    const defaults = defaultsOf(parts, tenant, clusterId);
    const choice = chosen('failurePolicy', policies, ...defaults);
    if (!choice) return undefined;
    const cluster = defaults[0]?.failurePolicy;
    const subject = `instance/${instance.id}`;
    const message = instance.lastError ?? 'it gave no reason';
    try {
      const { output, evaluation } = await parts.policies.evaluate({
        ...{ tenant, hook: 'failurePolicy' as const, action: 'handle' as const },
        ...(choice.reference ? { reference: choice.reference } : {}),
        ...(cluster ? { defaults: cluster } : {}),
        input: {
          ...{ action: 'handle', subject },
          failure: { code: 'INSTANCE_UNHEALTHY', message: message.slice(0, 1000), count },
          inputs: { blockId, clusterId, nodeId: instance.document.nodeId },
        },
        useSite: useSiteOf(blockId),
        inventoryRevision: parts.inventory.revision,
      });
      const { actions } = output;
      const order = orderOf(actions);
      for (const action of actions) {
        if (action.type === 'notify') parts.log(`block '${blockId}': ${action.message ?? message}`);
      }
      const what = actions.map(({ type, afterMs }) =>
        afterMs > 0 ? `${type} in ${afterMs} ms` : type,
      );
      parts.decisions.record({
        ...{ tenant, kind: 'failure', subject, blockId, reason: 'heal' },
        outcome: evaluation.error ? 'failed' : order ? 'changed' : 'held',
        message: `failure ${count} in a row: ${what.join(', ') || (evaluation.error?.message ?? 'nothing special')}`,
        evaluations: [evaluation],
        details: { actions, failure: message },
      });
      return order;
    } catch (fault) {
      parts.log(`block '${blockId}': its failure policy: ${AiosError.from(fault).message}`);
      return undefined;
    }
  };
}

type Actions = readonly {
  readonly type: string;
  readonly afterMs: number;
  readonly message?: string | undefined;
}[];

/** @returns when the place is filled again; nothing where no action speaks of it */
export function orderOf(actions: Actions): HealOrder | undefined {
  const end = actions.find(({ type }) => type === 'give-up');
  if (end) {
    const why = end.message === undefined ? '' : `: ${end.message}`;
    const message = `given up by its failure policy${why}. Replace the block to try again`;
    return { waitMs: Number.POSITIVE_INFINITY, message };
  }
  const healing = actions.filter(({ type }) => heals.has(type));
  if (healing.length === 0) return undefined;
  const waitMs = Math.max(...healing.map(({ afterMs }) => afterMs));
  const move = healing.find(({ type }) => type === 'reassign');
  return move ? { waitMs, elsewhere: move.message ?? 'it failed there' } : { waitMs };
}
