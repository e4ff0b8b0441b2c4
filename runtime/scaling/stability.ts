import { AiosError } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import { useSiteOf, type WatchedBlock } from '../block/index.ts';
import type { NewDecision } from '../decision/index.ts';
import { chosen } from './chosen.ts';
import { defaultsOf, type ScalingParts } from './parts.ts';

type Action = HookOutput<'stabilityChecker', 'block'>['actions'][number];

/** @returns what was done, or why it could not be */
async function act(parts: ScalingParts, block: WatchedBlock, action: Action): Promise<string> {
  const { tenant, view, declared } = block;
  const { type, instanceId, reason } = action;
  switch (type) {
    case 'restart': {
      const done = parts.blocks.restartInstance(tenant, instanceId, reason);
      return done ? `restart ${instanceId}: ${reason}` : `${instanceId} is gone already`;
    }
    case 'reassign':
      // Takes as long as the new one takes to start; a decision of its own says what came of it.
      void parts.blocks.reassign(tenant, instanceId, reason).catch((fault: unknown) => {
        parts.log(`instance '${instanceId}' is not reassigned: ${AiosError.from(fault).message}`);
      });
      return `reassign ${instanceId}: ${reason}`;
    case 'remove': {
      const instances = declared.wanted - 1;
      await parts.scale({
        ...{ tenant, blockId: view.id, instances, by: 'stabilityChecker' },
        remove: [instanceId],
      });
      return `remove ${instanceId}: ${reason}`;
    }
  }
}

/** Asks a block's stability checker once and does what it says. @returns nothing where it has none */
export async function checkBlock(
  parts: ScalingParts,
  block: WatchedBlock,
): Promise<NewDecision | undefined> {
  const { tenant, view, declared, clusterId } = block;
  const choice = chosen(
    'stabilityChecker',
    declared.policies,
    ...defaultsOf(parts, tenant, clusterId),
  );
  if (!choice) return undefined;
  const about = {
    tenant,
    kind: 'stability',
    subject: `block/${view.id}`,
    blockId: view.id,
  } as const;
  const [own] = defaultsOf(parts, tenant, clusterId);
  const defaults = own && Object.hasOwn(own, 'stabilityChecker') ? own.stabilityChecker : undefined;
  const { output, evaluation } = await parts.policies.evaluate({
    ...{ tenant, hook: 'stabilityChecker' as const, action: 'block' as const },
    ...(choice.reference ? { reference: choice.reference } : {}),
    ...(defaults ? { defaults } : {}),
    input: { action: 'block', block: view, instances: block.instances },
    useSite: useSiteOf(view.id),
    inventoryRevision: parts.inventory.revision,
  });
  const decided = (outcome: 'held' | 'changed' | 'failed', message: string): NewDecision => ({
    ...about,
    ...{ reason: 'watch', outcome, message, evaluations: [evaluation] },
    details: { actions: output.actions },
  });
  if (evaluation.error) return decided('failed', evaluation.error.message);
  if (output.actions.length === 0) return decided('held', `'${evaluation.policyUri}': all is well`);
  const done: string[] = [];
  for (const action of output.actions) {
    done.push(
      await act(parts, block, action).catch(
        (fault: unknown) =>
          `${action.type} ${action.instanceId} failed: ${AiosError.from(fault).message}`,
      ),
    );
  }
  return decided('changed', `'${evaluation.policyUri}': ${done.join('; ')}`);
}

/** Asks a cluster's stability checker once and cordons what it names. @returns nothing where it has none */
export async function checkCluster(
  parts: ScalingParts,
  tenant: string,
  clusterId: string,
): Promise<NewDecision | undefined> {
  const { inventory, cordons } = parts;
  const view = inventory.cluster(tenant, clusterId);
  const seen = parts.snapshot(tenant, clusterId);
  const choice = view && chosen('stabilityChecker', view.spec.policies, parts.network(tenant));
  if (!choice || !seen) {
    await cordons.said(tenant, clusterId, []);
    return undefined;
  }
  const all = cordons.of(tenant, clusterId);
  const cordoned = new Set(all.map(({ nodeId }) => nodeId));
  const before = new Set(all.flatMap(({ by, nodeId }) => (by === 'operator' ? [] : [nodeId])));
  // It is asked how a node is, not what was said of it before.
  const nodes = seen.nodes.map((node) =>
    cordoned.has(node.id) ? { ...node, healthy: true } : node,
  );
  const { output, evaluation } = await parts.policies.evaluate({
    ...{ tenant, hook: 'stabilityChecker' as const, action: 'cluster' as const },
    ...(choice.reference ? { reference: choice.reference } : {}),
    input: { action: 'cluster', cluster: { ...seen, nodes } },
    useSite: `cluster/${clusterId}`,
    inventoryRevision: inventory.revision,
  });
  const by = `'${evaluation.policyUri}'`;
  const decided = (outcome: 'held' | 'changed' | 'failed', message: string): NewDecision => ({
    ...{ tenant, kind: 'stability', subject: `cluster/${clusterId}`, reason: 'watch' },
    ...{ outcome, message, evaluations: [evaluation], details: { cordon: output.cordon } },
  });
  if (evaluation.error) return decided('failed', evaluation.error.message);
  await cordons.said(tenant, clusterId, output.cordon, output.reason);
  const named = new Set(output.cordon);
  const same = named.size === before.size && [...named].every((id) => before.has(id));
  const why = output.reason ? `: ${output.reason}` : '';
  if (same) return decided('held', `${by}: ${output.stable ? 'stable' : 'not stable'}${why}`);
  const which = named.size > 0 ? [...named].join(', ') : 'no node';
  return decided('changed', `${by} cordons ${which}${why}`);
}
