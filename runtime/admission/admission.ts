import type { DecisionOutcome, PolicyEvaluation } from '../../sdk/client/api.ts';
import type { PreCheckVerdict } from '../../sdk/client/control.ts';
import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { BlockView, HookInput, PreCheckAction } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { NewDecision } from '../decision/index.ts';
import type { PlacementOptions } from '../placement/index.ts';
import { digestOf, type PolicyHost } from '../policy/index.ts';

type Admits = NonNullable<PlacementOptions['admits']>;

/** Something that is about to be done. */
export interface AdmissionRequest {
  readonly tenant: string;
  readonly action: PreCheckAction;
  /** The document to add in the plain form, or what names the thing to remove, scale or manage. */
  readonly input: unknown;
  /** Names what it is about in the decision log: `block/ocr`. */
  readonly subject: string;
  /** Clusters that it is about, each asked after the network. */
  readonly clusterIds?: readonly string[];
  readonly block?: BlockView;
  /** Instances that the action touches. */
  readonly instances?: HookInput<'preCheck'>['instances'];
}

type PreChecks = Readonly<Record<string, PolicyReference>>;

export interface AdmissionOptions {
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  readonly network: (tenant: string) => PreChecks;
  /** Of a cluster that is not there, or has none: none. */
  readonly cluster: (tenant: string, clusterId: string) => PreChecks | undefined;
  readonly snapshot: (tenant: string, clusterId: string) => ClusterSnapshot | undefined;
  readonly inventoryRevision: () => number;
  readonly record: (decision: NewDecision) => unknown;
}

/** The one place that everything which changes something passes. Where no policy is configured, nothing is evaluated. */
export interface Admission {
  /** Whether anybody would be asked. */
  concerns(request: Pick<AdmissionRequest, 'tenant' | 'action' | 'clusterIds'>): boolean;
  /** Asks, does nothing, and says what came out. Recorded as a dry run. */
  check(request: AdmissionRequest): Promise<PreCheckVerdict>;
  /**
   * @returns the input, rewritten where a policy rewrote it
   * @throws {AiosError} ADMISSION_DENIED - details: action, policyUri, level, reason
   */
  admit<T>(request: AdmissionRequest & { readonly input: T }): Promise<T>;
  /** As `admit` for what names a thing: a policy may refuse it, but not point it at another. */
  permit(request: AdmissionRequest): Promise<void>;
  /**
   * Asks a cluster's `add_block` about a block that placement would send there, which may be refused but not rewritten: it
   * was declared before its cluster was known. Not recorded here, but with the placement.
   */
  readonly joins: Admits;
}

type Concern = Pick<AdmissionRequest, 'tenant' | 'action' | 'clusterIds'>;

interface Level {
  readonly level: 'network' | 'cluster';
  readonly useSite: string;
  readonly clusterId?: string;
  readonly reference: PolicyReference;
}

const own = (checks: PreChecks | undefined, action: string): PolicyReference | undefined =>
  checks && Object.hasOwn(checks, action) ? checks[action] : undefined;

/** As JSON says it: policies may not tell a missing key from one that is undefined. */
const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value ?? null)) as Json;

export function denied(action: string, by: { policyUri: string; level: string; reason: string }) {
  return new AiosError(
    'ADMISSION_DENIED',
    `${action} is refused by the ${by.level}'s pre-check '${by.policyUri}': ${by.reason}`,
    { details: { action, ...by } },
  );
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { policies } = options;

  function levelsOf({ tenant, action, clusterIds = [] }: AdmissionRequest | Concern) {
    const levels: Level[] = [];
    const network = own(options.network(tenant), action);
    if (network) levels.push({ level: 'network', useSite: 'network', reference: network });
    for (const clusterId of new Set(clusterIds)) {
      const reference = own(options.cluster(tenant, clusterId), action);
      const useSite = `cluster/${clusterId}`;
      if (reference) levels.push({ level: 'cluster', useSite, clusterId, reference });
    }
    return levels;
  }

  async function ask(
    request: AdmissionRequest,
    { level, useSite, reference, ...at }: Level,
    input: Json,
  ) {
    const { tenant, action, block, instances, clusterIds = [] } = request;
    const clusterId = at.clusterId ?? clusterIds[0];
    const cluster = clusterId === undefined ? undefined : options.snapshot(tenant, clusterId);
    try {
      return await policies.evaluate({
        ...{ tenant, hook: 'preCheck' as const, action, reference, useSite },
        input: {
          ...{ action, level, input },
          ...(cluster ? { cluster } : {}),
          ...(block ? { block } : {}),
          ...(instances ? { instances } : {}),
        } as HookInput<'preCheck'>,
        inventoryRevision: options.inventoryRevision(),
      });
    } catch (fault) {
      // A check that cannot be made is no permission.
      const { message, details } = AiosError.from(fault);
      const evaluation = details.evaluation as PolicyEvaluation | undefined;
      return { output: { allowed: false as const, reason: message }, evaluation };
    }
  }

  async function run(request: AdmissionRequest, reason: 'request' | 'dry-run') {
    const evaluations: PolicyEvaluation[] = [];
    const asked: string[] = [];
    const original = plain(request.input);
    let input = original;
    let refusal: { policyUri: string; level: 'network' | 'cluster'; reason: string } | undefined;
    for (const level of levelsOf(request)) {
      const { output, evaluation } = await ask(request, level, input);
      if (evaluation) evaluations.push(evaluation);
      const policyUri = evaluation?.policyUri ?? level.reference.policyRuleURI ?? 'default';
      asked.push(policyUri);
      if (!output.allowed) {
        refusal = { policyUri, level: level.level, reason: output.reason };
        break;
      }
      if (output.input !== undefined) input = output.input;
    }
    const rewritten = !refusal && digestOf(input) !== digestOf(original);
    const outcome: DecisionOutcome = refusal ? 'refused' : rewritten ? 'rewritten' : 'allowed';
    if (asked.length > 0) {
      const { tenant, action, subject } = request;
      const message = refusal
        ? `${action} refused by the ${refusal.level}'s '${refusal.policyUri}': ${refusal.reason}`
        : `${action} ${outcome} by ${asked.map((uri) => `'${uri}'`).join(', ')}`;
      options.record({
        ...{ tenant, kind: 'admission', subject, reason, outcome, message, evaluations },
        details: { action, ...(rewritten ? { input } : {}) },
      });
    }
    return { input, rewritten, asked, refusal };
  }

  const concerns = (request: Concern): boolean => levelsOf(request).length > 0;

  async function ofCluster(tenant: string, block: BlockView, level: Level) {
    const input = plain(block);
    const request: AdmissionRequest = {
      ...{ tenant, action: 'add_block', input, subject: `block/${block.id}`, block },
      clusterIds: level.clusterId === undefined ? [] : [level.clusterId],
    };
    const { output, evaluation } = await ask(request, level, input);
    const policyUri = evaluation?.policyUri ?? level.reference.policyRuleURI ?? 'default';
    const rewrote =
      output.allowed && output.input !== undefined && digestOf(output.input) !== digestOf(input);
    const why = rewrote ? 'it rewrote the block, which only the network may' : undefined;
    const seen = output.allowed ? why : output.reason;
    return {
      evaluations: evaluation ? [evaluation] : [],
      ...(seen === undefined
        ? {}
        : { refused: { refusedBy: `add_block of '${policyUri}'`, seen } }),
    };
  }

  return {
    concerns,
    joins(tenant, block, clusterId) {
      const levels = levelsOf({ tenant, action: 'add_block', clusterIds: [clusterId] });
      const level = levels.find((one) => one.level === 'cluster');
      return level && ofCluster(tenant, block, level);
    },
    async check(request) {
      const { input, rewritten, asked, refusal } = await run(request, 'dry-run');
      const { action } = request;
      return refusal
        ? { action, allowed: false, asked, ...refusal }
        : { action, allowed: true, asked, ...(rewritten ? { input } : {}) };
    },
    async admit<T>(request: AdmissionRequest & { readonly input: T }) {
      if (!concerns(request)) return request.input;
      const { input, rewritten, refusal } = await run(request, 'request');
      if (refusal) throw denied(request.action, refusal);
      return rewritten ? (input as T) : request.input;
    },
    async permit(request) {
      if (!concerns(request)) return;
      const { rewritten, refusal, asked } = await run(request, 'request');
      if (refusal) throw denied(request.action, refusal);
      if (!rewritten) return;
      throw denied(request.action, {
        policyUri: asked.join("', '"),
        level: 'network or cluster',
        reason: 'it rewrote what is to be removed, and may only allow or refuse that.',
      });
    },
  };
}
