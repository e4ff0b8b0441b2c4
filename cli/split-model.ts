import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { builtinPolicies } from '../policies/index.ts';
import { splitModel, splitters } from '../runtime/model/index.ts';
import { createPolicyHost } from '../runtime/policy/index.ts';
import { createMemoryStore } from '../runtime/store/index.ts';
import { AiosError } from '../sdk/errors.ts';
import type { HookInput } from '../sdk/hooks.ts';
import { hooks } from '../sdk/hooks.ts';
import { defaultTenant, type PolicyUri, policyUri } from '../sdk/ids.ts';
import type { AnyPolicy } from '../sdk/policy.ts';
import type { SplitPlan } from '../sdk/spec/plan.ts';
import type { Context } from './context.ts';
import { renderBar } from './progress.ts';

interface SplitArguments {
  readonly model: string;
  readonly out: string;
  readonly shards?: number | undefined;
  /** Clusters. */
  readonly fit?: readonly string[] | undefined;
  readonly planner?: string | undefined;
  /** Names of tensors, with commas between. */
  readonly cut?: readonly string[] | undefined;
  readonly maxSessions?: number | undefined;
  readonly context?: number | undefined;
  readonly copy?: boolean | undefined;
}

type Nodes = HookInput<'splitPlanner'>['nodes'];

/** What the healthy nodes of the clusters may still promise, as the server knows it. */
async function freeNodes({ client }: Context, clusters: readonly string[]): Promise<Nodes> {
  const found = await Promise.all(clusters.map((id) => client.get('cluster', id)));
  const nodes = found.flatMap(({ spec, nodes: snapshots }) =>
    snapshots
      .filter(({ healthy }) => healthy)
      .map(({ id, free }) => ({
        clusterId: spec.id,
        nodeId: id,
        freeMemoryBytes: free.memoryBytes,
        cpuCores: free.cpuCores,
      })),
  );
  if (clusters.length > 0 && nodes.length === 0) {
    throw new AiosError(
      'SPLIT_INFEASIBLE',
      `no node of ${clusters.join(', ')} is healthy; there is nothing to fit the model to.`,
    );
  }
  return nodes;
}

/** A planner of the user's own, from a file. It is trusted: it runs here, on the user's own machine. */
async function importPlanner(context: Context, file: string): Promise<AnyPolicy> {
  const { bundle } = await import('./bundle.ts');
  const { describe } = await import('./describe.ts');
  const path = context.path(file);
  const bundled = await bundle(path, 'policy');
  const { type, hook } = await describe(path, bundled);
  if (type !== 'policy' || hook !== 'splitPlanner') {
    throw new AiosError(
      'BUNDLE_FAILED',
      `the default export of '${file}' must be a definePolicy of the hook splitPlanner.`,
    );
  }
  const source = Buffer.from(bundled.code).toString('base64');
  const module: { default: AnyPolicy } = await import(`data:text/javascript;base64,${source}`);
  return module.default;
}

/** @returns the URI of a built-in planner by URI or by name, as the default is shown: `memory-aware` */
function builtinPlanner(named: string): PolicyUri {
  if (named.includes(':')) return policyUri(named);
  const planners = builtinPolicies.filter(({ hook }) => hook === 'splitPlanner');
  const names = planners.map(({ uri }) => uri.replace(/:.*/, ''));
  const found = planners[names.indexOf(named)];
  if (found) return found.uri;
  throw new AiosError(
    'POLICY_NOT_FOUND',
    `there is no planner '${named}'; expected ${names.join(', ')}, or a file such as ./planner.ts.`,
  );
}

async function assertModel(context: Context, model: string): Promise<void> {
  const found = await stat(context.path(model)).catch(() => undefined);
  if (found?.isDirectory() || (found?.isFile() && extname(model) === '.onnx')) return;
  const message = found ? `'${model}' is no model.` : `there is no folder '${model}'.`;
  throw new AiosError(
    'NOT_FOUND',
    `${message} Name a folder with config.json and *.safetensors, or an .onnx file.`,
  );
}

/** Splits the model here, with the cuts of the planner policy. */
export async function splitForNodes(context: Context, args: SplitArguments): Promise<SplitPlan> {
  const { progress, signal } = context;
  await assertModel(context, args.model);
  const own =
    args.planner &&
    extname(args.planner) !== '' &&
    /^\.?\.?\/|\.(ts|js|mts|mjs)$/.test(args.planner)
      ? await importPlanner(context, args.planner)
      : undefined;
  const planner = own?.uri ?? builtinPlanner(args.planner ?? hooks.splitPlanner.defaultPolicy);
  const nodes = await freeNodes(context, args.fit ?? []);
  const store = createMemoryStore();
  const host = createPolicyHost({
    builtins: own ? [...builtinPolicies, own] : builtinPolicies,
    store,
    loadArtifact: async (hash) => {
      throw new AiosError('POLICY_NOT_FOUND', `the policy ${hash} is not on this machine.`);
    },
  });
  try {
    return await splitModel({
      modelFolder: context.path(args.model),
      outFolder: context.path(args.out),
      splitters,
      planner,
      copy: args.copy ?? false,
      ...(args.shards === undefined ? {} : { shards: args.shards }),
      cutTensors: args.cut?.flatMap((names) => names.split(',')).filter(Boolean) ?? [],
      ...(args.maxSessions === undefined ? {} : { maxSessions: args.maxSessions }),
      ...(args.context === undefined ? {} : { contextTokens: args.context }),
      signal,
      onProgress: ({ fraction, message }) => progress.update(`${renderBar(fraction)}  ${message}`),
      async plan({ name, layers, embeddingBytes, headBytes, overheadBytes }) {
        const { output } = await host.evaluate({
          tenant: defaultTenant,
          hook: 'splitPlanner',
          action: 'plan',
          reference: { policyRuleURI: planner, parameters: {}, settings: {} },
          input: {
            action: 'plan',
            model: { name, layers, embeddingBytes, headBytes, overheadBytes },
            ...(args.shards === undefined ? {} : { shards: args.shards }),
            nodes,
          },
          useSite: `split/${name}`,
          inventoryRevision: 0,
        });
        return output;
      },
    });
  } finally {
    progress.done();
    await host.close();
    await store.close();
  }
}
