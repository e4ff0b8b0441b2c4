import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, type ErrorCode, PolicyError, type Problem } from '../../sdk/errors.ts';
import { type HookName, hooks, type PolicyState } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { askPolicy } from './ask-policy.ts';
import { createCallFunction } from './call-function.ts';
import { type CatalogEntry, createCatalog, uploadedEntry } from './catalog.ts';
import { assertConfigured, configure } from './configure.ts';
import { createRunners } from './execution/index.ts';
import { evaluationFaults, fallbackAnswer } from './fallback.ts';
import { deepFreeze } from './freeze.ts';
import type { PolicyHostOptions } from './host.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** A question of before, to be asked again. */
export interface ReplayRequest {
  readonly tenant: string;
  /** As it was recorded. */
  readonly evaluation: Pick<
    PolicyEvaluation,
    'hook' | 'action' | 'policyUri' | 'policyHash' | 'parameters' | 'settings' | 'seed' | 'nowMs'
  >;
  readonly input: unknown;
  readonly state: PolicyState;
  /**
   * Another policy or configuration. Without parameters it gets those recorded that its schema takes, over its own
   * defaults; without a URI it is the recorded policy.
   */
  readonly with?: Partial<PolicyReference>;
}

export interface Replayed {
  readonly policyUri: string;
  readonly policyHash: string;
  readonly parameters: JsonObject;
  readonly settings: JsonObject;
  /** The code that was recorded does not exist any more: what stands under its URI now was run. */
  readonly codeChanged: boolean;
  /** Recorded parameters that the other policy does not take. */
  readonly leftOut: readonly string[];
  /** Whole, checked; absent where the caller would have failed. */
  readonly output?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  readonly logs: readonly string[];
  /** What it would have kept. */
  readonly state: PolicyState;
  readonly durationMs: number;
}

/** Asks policies beside the live ones: nothing is kept, nothing recorded, and live sandboxes do not notice. */
export interface Replays {
  /** @throws {PolicyError} POLICY_NOT_FOUND, URI_AMBIGUOUS, SPEC_INVALID - wrong hook, or given parameters refused */
  run(request: ReplayRequest): Promise<Replayed>;
  close(): Promise<void>;
}

interface Configured {
  readonly policy: CatalogEntry;
  readonly parameters: JsonObject;
  readonly settings: JsonObject;
  readonly leftOut: readonly string[];
}

/** The key of the map that a problem is about. */
function keyIn(map: 'parameters' | 'settings', { path }: Problem): string | undefined {
  const [, rest] = path.split(`.${map}`);
  return rest === undefined ? undefined : /^\.?\[?"?([^.["\]]+)/.exec(rest)?.[1];
}

/** What of the recorded configuration another policy takes. */
function adapt(policy: CatalogEntry, { evaluation }: ReplayRequest): Configured {
  const parameters: Record<string, unknown> = { ...evaluation.parameters };
  const leftOut: string[] = [];
  for (;;) {
    const { value, problems } = configure(policy, { parameters, settings: {} }, undefined);
    if (value) return { policy, ...value, leftOut };
    const wrong = problems
      .map((problem) => keyIn('parameters', problem))
      .filter((key) => key !== undefined && Object.hasOwn(parameters, key));
    // What it lacks of its own cannot be made up.
    if (wrong.length === 0) {
      const given = { parameters, settings: {} };
      return { policy, ...assertConfigured(policy, given, undefined), leftOut };
    }
    for (const key of new Set(wrong)) {
      if (key === undefined) continue;
      delete parameters[key];
      leftOut.push(key);
    }
  }
}

async function ask(
  { policy, parameters, settings, leftOut }: Configured,
  { tenant, evaluation, ...request }: ReplayRequest,
  codeChanged: boolean,
): Promise<Replayed> {
  const hook = evaluation.hook as HookName;
  const { action, nowMs, seed } = evaluation;
  const input = deepFreeze(request.input);
  const state = deepFreeze(request.state);
  const startedMs = performance.now();
  const about = {
    ...{ policyUri: policy.uri, policyHash: policy.hash, parameters, settings },
    ...{ codeChanged, leftOut },
  };
  try {
    const given = { tenant, hook, action, input, parameters, settings, state, nowMs, seed };
    const { output, logs, state: kept } = await askPolicy(policy, given);
    const durationMs = performance.now() - startedMs;
    return { ...about, output, logs, state: kept, durationMs };
  } catch (fault) {
    const { code, message, details } = AiosError.from(fault);
    const logs = (details.logs as readonly string[] | undefined) ?? [];
    const durationMs = performance.now() - startedMs;
    const output = evaluationFaults.has(code)
      ? fallbackAnswer(hook, action, input, message)
      : undefined;
    return {
      ...about,
      ...(output === undefined ? {} : { output }),
      ...{ error: { code, message }, logs, state, durationMs },
    };
  }
}

export function createReplays(
  options: Pick<PolicyHostOptions, 'builtins' | 'store' | 'loadArtifact' | 'executors'>,
): Replays {
  // Deployed functions answer from an empty state: what they keep is theirs, and is not recorded with a graph's decision.
  const call = createCallFunction({ catalog: () => catalog });
  const runners = createRunners({ ...options, call });
  const catalog = createCatalog(options.builtins, options.store, runners);

  /** The very code that decided, also where its document was deleted or replaced since. */
  async function recorded({ tenant, evaluation }: ReplayRequest) {
    const { policyUri: uri, policyHash: hash, hook } = evaluation;
    const found = await catalog.resolve(tenant, uri).catch((fault: unknown) => {
      const error = AiosError.from(fault);
      if (error.code === 'POLICY_NOT_FOUND') return error;
      throw error;
    });
    const entry = AiosError.isInstance(found) ? undefined : found;
    if (entry?.hash === hash) return { policy: entry, codeChanged: false };
    if (entry?.origin !== 'built-in') {
      const code = await options.loadArtifact(hash).catch(() => undefined);
      if (code !== undefined) {
        const execution = { type: 'local' };
        const spec = { description: '', parameters: {}, settings: {}, execution };
        const artifact = { hash, entry: 'default' };
        const version = { ...spec, uri, hook, artifact } as Parameters<typeof uploadedEntry>[1];
        return { policy: uploadedEntry(tenant, version, runners), codeChanged: false };
      }
    }
    if (!entry) throw found;
    return { policy: entry, codeChanged: true };
  }

  async function another(request: ReplayRequest, reference: Partial<PolicyReference>) {
    const { tenant, evaluation } = request;
    const hook = evaluation.hook as HookName;
    const uri = reference.policyRuleURI;
    const { policy } = uri
      ? { policy: await catalog.resolve(tenant, uri) }
      : await recorded(request);
    if (policy.hook !== hook) {
      throw new PolicyError(
        'SPEC_INVALID',
        `policy '${policy.uri}' is for hook '${policy.hook}', and this was asked at '${hook}'. Name a policy of '${hook}'.`,
      );
    }
    if (!reference.parameters && !reference.settings) return adapt(policy, request);
    const { parameters = {}, settings = {} } = reference;
    const configuration = assertConfigured(policy, { parameters, settings }, undefined);
    return { policy, ...configuration, leftOut: [] };
  }

  return {
    async run(request) {
      const { evaluation } = request;
      if (!Object.hasOwn(hooks, evaluation.hook)) {
        throw new PolicyError('UNSUPPORTED', `there is no hook '${evaluation.hook}' any more.`);
      }
      if (request.with) return ask(await another(request, request.with), request, false);
      const { policy, codeChanged } = await recorded(request);
      const { parameters, settings } = evaluation;
      return ask({ policy, parameters, settings, leftOut: [] }, request, codeChanged);
    },
    close: () => runners.close(),
  };
}
