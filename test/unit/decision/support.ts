import { builtinPolicies } from '../../../policies/index.ts';
import {
  createReplayer,
  type DecisionLog,
  type DecisionLogOptions,
  openDecisionLog,
} from '../../../runtime/decision/index.ts';
import { createPolicyHost, type PolicyHostOptions } from '../../../runtime/policy/index.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';
import type { PolicyEvaluation } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { HookName } from '../../../sdk/hooks.ts';
import type { AnyPolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';

export interface Bench {
  readonly store: Store;
  readonly host: ReturnType<typeof createPolicyHost>;
  readonly log: DecisionLog;
  readonly replayer: ReturnType<typeof createReplayer>;
  close(): Promise<void>;
}

/** A policy host and a log on one store. */
export async function openBench(
  options: {
    readonly store?: Store;
    readonly extra?: readonly AnyPolicy[];
    readonly host?: Partial<PolicyHostOptions>;
    readonly log?: Partial<DecisionLogOptions>;
  } = {},
): Promise<Bench> {
  const { store = createMemoryStore(), extra = [] } = options;
  const host = createPolicyHost({
    builtins: [...builtinPolicies, ...extra],
    store,
    loadArtifact: () => Promise.reject(new AiosError('NOT_FOUND', 'no artifacts here.')),
    ...options.host,
  });
  const log = await openDecisionLog({ store, ...options.log });
  return {
    ...{ store, host, log },
    replayer: createReplayer(log, host),
    async close() {
      await log.close();
      await host.close();
    },
  };
}

export interface Question {
  readonly hook: HookName;
  readonly action: string;
  readonly uri?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly input?: unknown;
}

/** Asks a policy, whatever comes of it. */
export async function ask(host: Bench['host'], question: Question): Promise<PolicyEvaluation> {
  const { hook, action, uri, parameters } = question;
  const examples: Readonly<Record<string, unknown>> = exampleInputs[hook];
  const reference = policyReference.parse({
    ...(uri ? { policyRuleURI: uri } : {}),
    ...(parameters ? { parameters } : {}),
  });
  try {
    const { evaluation } = await host.evaluate({
      ...{ tenant: 'default', useSite: 'block/b', inventoryRevision: 1, reference },
      hook,
      action: action as never,
      input: structuredClone(question.input ?? examples[action]) as never,
    });
    return evaluation;
  } catch (fault) {
    const evaluation = AiosError.from(fault).details.evaluation as PolicyEvaluation | undefined;
    if (evaluation) return evaluation;
    throw fault;
  }
}

/** Writes down one decision of these evaluations. @returns its id */
export const decide = (log: DecisionLog, ...evaluations: readonly PolicyEvaluation[]): string =>
  log.record({
    ...{ tenant: 'default', kind: 'scaling', subject: 'block/b', reason: 'watch' },
    ...{ outcome: 'changed', message: 'for a test', evaluations },
  }).id;
