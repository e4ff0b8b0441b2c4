import type { ResourceKind, ResourceSpecs } from '../../sdk/client/api.ts';
import type { Problem } from '../../sdk/errors.ts';
import { type HookName, hookNames } from '../../sdk/hooks.ts';
import { checkBlockAgainstComponent } from '../../sdk/protocol.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { readFilterRule } from '../../sdk/spec/filter-rule.ts';
import { resolveResources } from '../../sdk/spec/resources.ts';
import type { ArtifactStore } from '../control-plane.ts';
import { checkEntityFilter, checkFilter } from '../placement/index.ts';
import type { PolicyHost } from '../policy/host.ts';
import { findMismatches } from './feeding.ts';
import { whyNotEverywhere, whyNotRunnable } from './runnable.ts';
import { checkPartFiles, checkShardRow } from './shard-row.ts';

/** Finds what a document refers to, among what is stored and what is being created with it. */
export interface Lookup {
  component(uri: string): Promise<ResourceSpecs['component'] | undefined>;
  block(id: string): Promise<ResourceSpecs['block'] | undefined>;
  hasVdag(uri: string): Promise<boolean>;
}

export interface ReferenceChecks {
  readonly artifacts: Pick<ArtifactStore, 'has'>;
  readonly policies: Pick<PolicyHost, 'check' | 'checkExecutor'>;
  /** Problems of a cluster with the backend that would run it. */
  readonly checkCluster: (cluster: ResourceSpecs['cluster']) => Promise<readonly Problem[]>;
}

export interface Findings {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

type Path = readonly PropertyKey[];
/** Where a value of the plain form stands in the user's own document. */
export type Locate = (plain: Path) => string;

/** What keeps a block from ever running, and can be told before anybody tries. */
function findHopeless(
  block: ResourceSpecs['block'],
  component: ResourceSpecs['component'],
  locate: Locate,
): readonly Problem[] {
  const found: Problem[] = [];
  const fault = whyNotRunnable(component) ?? whyNotEverywhere(component);
  if (fault) {
    const message = `component '${component.uri}' ${fault}. The block waits until it can run`;
    found.push({ path: locate(['componentUri']), message });
  }
  const { error } = resolveResources(
    block,
    { ...component.policies, ...block.policies },
    component.metadata,
  );
  if (error) {
    const names = error.problems.map(({ path }) => path.split('.').at(-1)).join(', ');
    found.push({
      path: locate(['resources']),
      message: `is missing, and the resourceAllocator does not give the amounts either (${names}). The block waits until they are stated`,
      expected: '{"memoryBytes": "2Gi", "cpuCores": 1}',
    });
  }
  return found;
}

/** Checks all that a document refers to: policies, artifacts, other documents. Collects every problem. */
export async function checkReferences<K extends ResourceKind>(
  kind: K,
  spec: ResourceSpecs[K],
  context: ReferenceChecks & {
    readonly tenant: string;
    readonly lookup: Lookup;
    readonly locate: Locate;
  },
): Promise<Findings> {
  const { tenant, lookup, locate } = context;
  const problems: Problem[] = [];
  const warnings: Problem[] = [];

  async function artifact(path: Path, hash: string): Promise<void> {
    if (await context.artifacts.has(hash)) return;
    problems.push({
      path: locate(path),
      message: `artifact ${hash} is not stored here; upload it first`,
      seen: hash,
    });
  }

  async function policy(path: Path, hook: string, reference: PolicyReference): Promise<void> {
    if (!(hookNames as readonly string[]).includes(hook)) return;
    const found = [...(await context.policies.check(tenant, hook as HookName, reference))];
    // The platform itself reads this one parameter, so no policy's schema knows what is wrong with it.
    if (hook === 'clusterAllocator') found.push(...checkFilter(reference.parameters.filter));
    // The host names places of the plain form; the user wants those of their own document.
    const plain = `$.policies.${hook}`;
    const place = locate(path);
    problems.push(...found.map((p) => ({ ...p, path: p.path.replace(plain, () => place) })));
  }

  async function policies(references: Readonly<Record<string, PolicyReference>>): Promise<void> {
    for (const [hook, reference] of Object.entries(references)) {
      await policy(['policies', hook], hook, reference);
    }
  }

  async function component(value: ResourceSpecs['component']): Promise<void> {
    if (value.artifact) await artifact(['artifact', 'hash'], value.artifact.hash);
    for (const kind of ['stage', 'graph'] as const) {
      const part = value[kind];
      if (!part) continue;
      problems.push(...checkPartFiles(part, [kind], locate));
      for (const [index, file] of part.files.entries()) {
        await artifact([kind, 'files', index, 'hash'], file.hash);
      }
    }
    await policies(value.policies);
    const fault = whyNotRunnable(value) ?? whyNotEverywhere(value);
    if (fault) {
      const message = `the component ${fault}. Its blocks are kept, but wait`;
      warnings.push({ path: locate(value.container ? ['container'] : []), message });
    }
  }

  async function block(value: ResourceSpecs['block']): Promise<void> {
    const found = await lookup.component(value.componentUri);
    if (found) {
      warnings.push(...checkBlockAgainstComponent(value, found, locate));
      warnings.push(...findHopeless(value, found, locate));
    } else {
      problems.push({
        path: locate(['componentUri']),
        message: `component '${value.componentUri}' does not exist; create it first`,
        seen: value.componentUri,
      });
    }
    await policies(value.policies);
  }

  async function vdag(value: ResourceSpecs['vdag']): Promise<void> {
    for (const [index, { assignment, blockId }] of value.nodes.entries()) {
      if (!assignment || blockId !== undefined) continue;
      const path = ['nodes', index, 'assignment'];
      const rule = readFilterRule({
        value: assignment.parameters,
        path: `${locate(path)}.parameters`,
      });
      problems.push(...checkEntityFilter('block', rule.filter.value, rule.filter.path));
      await policy(path, 'assignment', { ...assignment, parameters: rule.parameters });
    }
    const running = new Map<string, ResourceSpecs['component'] | undefined>();
    for (const [index, node] of value.nodes.entries()) {
      const { blockId, vdagUri } = node;
      const bound = blockId === undefined ? undefined : await lookup.block(blockId);
      if (bound) running.set(node.label, await lookup.component(bound.componentUri));
      if (blockId !== undefined && !bound) {
        problems.push({
          path: locate(['nodes', index, 'blockId']),
          message: `block '${blockId}' does not exist; create it first`,
          seen: blockId,
        });
      }
      if (vdagUri !== undefined && !(await lookup.hasVdag(vdagUri))) {
        problems.push({
          path: locate(['nodes', index, 'vdagUri']),
          message: `vDAG '${vdagUri}' does not exist; create it first`,
          seen: vdagUri,
        });
      }
    }
    // The shards of a model speak a protocol of their own.
    const mismatches = value.generation ? [] : findMismatches(value, (label) => running.get(label));
    problems.push(...checkShardRow(value, (label) => running.get(label)?.stage, locate));
    for (const { edge, message } of mismatches) {
      warnings.push({ path: locate(['edges', edge]), message });
    }
    for (const [index, file] of (value.generation?.files ?? []).entries()) {
      await artifact(['generation', 'files', index, 'hash'], file.hash);
    }
  }

  async function uploaded(value: ResourceSpecs['policy']): Promise<void> {
    const { execution } = value;
    if (value.artifact) await artifact(['artifact', 'hash'], value.artifact.hash);
    if (execution.type === 'remote') {
      const path = ['execution', 'executor'];
      problems.push(...context.policies.checkExecutor(execution.executor, locate(path)));
    }
    for (const [index, node] of (execution.type === 'graph' ? execution.nodes : []).entries()) {
      const { policyRuleURI, parameters, settings } = node;
      const reference = { policyRuleURI, parameters, settings };
      await policy(['execution', 'nodes', index], 'function', reference);
    }
  }

  const checks: { readonly [Kind in ResourceKind]: (value: ResourceSpecs[Kind]) => Promise<void> } =
    {
      component,
      block,
      vdag,
      policy: uploaded,
      cluster: async (value) => {
        problems.push(...(await context.checkCluster(value)));
        await policies(value.policies);
        for (const [action, check] of Object.entries(value.preChecks ?? {})) {
          await policy(['preChecks', action], 'preCheck', check);
        }
      },
    };
  await checks[kind](spec);
  return { problems, warnings };
}
