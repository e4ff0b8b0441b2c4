import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { builtinPolicies } from '../policies/index.ts';
import { defaultMaxSessions, type SplitModelOptions, splitters } from '../runtime/model/index.ts';
import { createPolicyHost } from '../runtime/policy/index.ts';
import { createMemoryStore } from '../runtime/store/index.ts';
import { AiosError } from '../sdk/errors.ts';
import { hooks } from '../sdk/hooks.ts';
import { defaultTenant, type PolicyUri, policyUri } from '../sdk/ids.ts';
import { plannedModel } from '../sdk/planner-question.ts';
import type { AnyPolicy } from '../sdk/policy.ts';
import type { WeightDtype, WrittenPlan } from '../sdk/spec/plan.ts';
import type { Context } from './context.ts';
import { previewWith, splitWith } from './custom-splitter.ts';
import { cutTensorsOf } from './cut-options.ts';
import { renderBar } from './progress.ts';
import { type Nodes, type Planned, plannerFor, readFit } from './split-fit.ts';
import type { PlannedSplit } from './split-preview.ts';

interface SplitArguments {
  readonly model: string;
  /** Needed to split, not to plan. */
  readonly out?: string | undefined;
  readonly shards?: number | undefined;
  /** Clusters. */
  readonly fit?: readonly string[] | undefined;
  readonly planner?: string | undefined;
  /** Names of tensors, with commas between. */
  readonly cut?: readonly string[] | undefined;
  readonly maxSessions?: number | undefined;
  readonly context?: number | undefined;
  readonly copy?: boolean | undefined;
  readonly dtype?: WeightDtype | undefined;
  readonly block?: number | undefined;
  /** A file of the user's own. */
  readonly splitter?: string | undefined;
  /** Told what the planner said of the nodes. */
  readonly onPlanned?: ((planned: Planned) => void) | undefined;
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
export async function splitForNodes(
  context: Context,
  args: SplitArguments & { readonly out: string },
): Promise<WrittenPlan> {
  return withPlanner(context, args, (options) =>
    splitWith(context, args.splitter, { ...options, outFolder: context.path(args.out) }),
  );
}

/** What {@link splitForNodes} would write, and where it would fit. */
export async function previewForNodes(
  context: Context,
  args: SplitArguments,
): Promise<PlannedSplit> {
  return withPlanner(context, args, async (options, nodes) => {
    let chosenNodes: readonly string[] | undefined;
    const preview = await previewWith(context, args.splitter, {
      ...options,
      async plan(outline) {
        const answer = await options.plan(outline);
        if ('nodes' in answer) chosenNodes = answer.nodes;
        return answer;
      },
    });
    return { ...preview, nodes, ...(chosenNodes ? { chosenNodes } : {}) };
  });
}

/** Runs the planner policy beside what needs it. */
async function withPlanner<T>(
  context: Context,
  args: SplitArguments,
  use: (options: Omit<SplitModelOptions, 'outFolder'>, nodes: Nodes) => Promise<T>,
): Promise<T> {
  const { progress, signal } = context;
  if (args.splitter === undefined) await assertModel(context, args.model);
  const own =
    args.planner &&
    extname(args.planner) !== '' &&
    /^\.?\.?\/|\.(ts|js|mts|mjs)$/.test(args.planner)
      ? await importPlanner(context, args.planner)
      : undefined;
  const fit = await readFit(context, args.fit ?? []);
  const { defaultPolicy } = hooks.splitPlanner;
  const planner = own?.uri ?? builtinPlanner(args.planner ?? plannerFor(fit, defaultPolicy));
  const store = createMemoryStore();
  const host = createPolicyHost({
    builtins: own ? [...builtinPolicies, own] : builtinPolicies,
    store,
    loadArtifact: async (hash) => {
      throw new AiosError('POLICY_NOT_FOUND', `the policy ${hash} is not on this machine.`);
    },
  });
  try {
    const options: Omit<SplitModelOptions, 'outFolder'> = {
      modelFolder: context.path(args.model),
      splitters,
      planner,
      copy: args.copy ?? false,
      ...(args.shards === undefined ? {} : { shards: args.shards }),
      cutTensors: cutTensorsOf(args.cut),
      ...(args.maxSessions === undefined ? {} : { maxSessions: args.maxSessions }),
      ...(args.context === undefined ? {} : { contextTokens: args.context }),
      ...(args.dtype ? { dtype: args.dtype } : {}),
      ...(args.block === undefined ? {} : { blockSize: args.block }),
      signal,
      onProgress: ({ fraction, message }) => progress.update(`${renderBar(fraction)}  ${message}`),
      async plan(outline) {
        const { output } = await host.evaluate({
          tenant: defaultTenant,
          hook: 'splitPlanner',
          action: 'plan',
          reference: { policyRuleURI: planner, parameters: {}, settings: {} },
          input: {
            action: 'plan',
            model: plannedModel(outline, args.maxSessions ?? defaultMaxSessions),
            ...(args.shards === undefined ? {} : { shards: args.shards }),
            ...fit,
          },
          useSite: `split/${outline.name}`,
          inventoryRevision: 0,
        });
        args.onPlanned?.({ fit, answer: output });
        return output;
      },
    };
    return await use(options, fit.nodes);
  } finally {
    progress.done();
    await host.close();
    await store.close();
  }
}
