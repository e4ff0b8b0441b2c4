import { exampleInputs } from '../../sdk/hooks/examples.ts';
import { optionalActions } from '../../sdk/hooks/optional.ts';
import { type HookName, hooks } from '../../sdk/hooks.ts';

/** What `evaluate` returns at first, by hook: right in shape, plain in what it decides. */
const bodies: Readonly<Partial<Record<HookName, string>>> = {
  clusterAllocator: `    if (input.action === 'post_dry_run') {
      const [best] = [...input.candidates].sort((a, b) => b.score - a.score);
      return { clusterId: best?.clusterId ?? '' };
    }
    return { clusters: input.clusters.map(({ id }) => id) };`,
  resourceAllocator: `    // What is allocated is what the dry run planned.
    if (input.action === 'allocation') return { accept: true };
    const { memoryBytes } = input.block.resources;
    const roomiest = [...input.nodes].sort((a, b) => b.free.memoryBytes - a.free.memoryBytes);
    const places = roomiest.flatMap(({ id, free }) =>
      Array.from({ length: Math.floor(free.memoryBytes / memoryBytes) }, () => ({ nodeId: id })),
    );
    const fits = places.length >= input.instances;
    return { score: fits ? 1 : 0, assignments: fits ? places.slice(0, input.instances) : [] };`,
  adhocAllocator: `    const [first] = input.clusters;
    return first ? { clusterId: first.id } : { refused: 'there is no cluster' };`,
  preemption: `    return input.options.length > 0 ? { option: 0 } : { refused: 'nothing would make room' };`,
  resourceEstimator: `    const node = input.nodes.find(({ healthy }) => healthy);
    return node ? { allowed: true, nodeId: node.id } : { allowed: false, reason: 'no node is healthy' };`,
  loadBalancer: `    const [first] = input.instances;
    return { instanceId: first?.id ?? '' };`,
  autoscaler: `    const perInstance = 4;
    const wanted = Math.ceil(input.metrics.outstandingRequests.averages['1m'] / perInstance);
    if (wanted === input.block.instances.length) return { hold: true };
    return { instances: wanted, reason: \`\${perInstance} requests in flight an instance\` };`,
  stabilityChecker: `    return {
      actions: input.instances
        .filter(({ healthy }) => !healthy)
        .map(({ id }) => ({ type: 'restart' as const, instanceId: id, reason: 'unhealthy' })),
    };`,
  pre_processing: '    return { data: input.packet.data };',
  post_processing: '    return { data: input.packet.data };',
  blockEvent: '    return { handled: true, note: input.eventName };',
  preCheck: `    if (input.action === 'remove_cluster') return { allowed: false, reason: 'clusters stay' };
    return { allowed: true };`,
  assignment: `    const [first] = input.candidates;
    return first ? { blockId: first.block.id } : { refused: 'no block passed the filter' };`,
  quotaChecker: `    return input.requests <= 100 ? { allowed: true } : { allowed: false, reason: '100 requests' };`,
  qualityChecker: '    return { ok: input.response !== null };',
  healthChecker:
    '    return { healthy: input.blocks.every(({ readyInstances }) => readyInstances > 0) };',
  ranking: '    return { ranked: input.candidates.map(({ id }) => ({ id })) };',
  template: '    return { document: input.spec };',
  failurePolicy: `    return { actions: [{ type: input.failure.count < 3 ? 'retry' : 'restart' }] };`,
  splitPlanner: '    return { firstLayers: input.model.layers.length > 1 ? [0, 1] : [0] };',
  function: '    return { output: input.input };',
};

/** Put together, so that whoever reads this file's imports does not take it for one. */
const importLine = (name: string, from: string): string =>
  ['import', `{ ${name} }`, 'from', `'${from}';`].join(' ');

/** A policy that works, to be changed. */
export function policyTemplate(hook: HookName, name: string): string {
  return `${importLine('definePolicy', 'aios-sdk')}
${importLine('z', 'zod')}

/** ${hooks[hook].description} */
export default definePolicy({
  hook: '${hook}',
  name: '${name}',
  version: '1.0.0',
  // Versions tagged 'dev' may be published again and again; leave the tag out when it is good.
  releaseTag: 'dev',
  description: 'What it does. Choose it when …',
  parameters: z.object({}),
  settings: z.object({}),
  evaluate(input) {
${bodies[hook] ?? ''}
  },
});
`;
}

/** One case an action, each with the hook's example as its input and nothing expected yet but an answer. */
export function casesTemplate(hook: HookName): string {
  const optional = Object.keys((optionalActions as Readonly<Record<string, object>>)[hook] ?? {});
  const cases = Object.entries(exampleInputs[hook])
    .filter(([action]) => !optional.includes(action))
    .slice(0, 3)
    .map(([action, input]) => ({ name: `answers ${action}`, action, input, expect: {} }));
  return `${JSON.stringify(cases, null, 2)}\n`;
}
