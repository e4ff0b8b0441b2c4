import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { RequestRecorder } from '../metrics/index.ts';
import type { PolicyHost } from '../policy/host.ts';
import { notFound } from '../registry/index.ts';
import type { BlockReconciler } from './block-reconciler.ts';
import { useSiteOf } from './declared.ts';
import type { Instance } from './instance.ts';
import { unplaced, vainReason } from './unplaced.ts';

export interface DirectoryOptions {
  readonly policies: PolicyHost;
  readonly block: (tenant: string, blockId: string) => BlockReconciler | undefined;
  readonly instance: (instanceId: string) => Instance | undefined;
  /** Calls back at the block's next change. @returns how to stop waiting */
  readonly nextChange: (tenant: string, blockId: string, listener: () => void) => () => void;
  readonly inventoryRevision: () => number;
  /** Defaults of a cluster, by hook. */
  readonly clusterPolicies: (
    tenant: string,
    clusterId: string | undefined,
  ) => Readonly<Record<string, PolicyReference>> | undefined;
  /** Where a load balancer that fails is told of, once. */
  readonly decisions: Pick<DecisionLog, 'record'>;
  /** Told of every request that is sent to an instance, and of callers that wait for one. */
  readonly requests?: RequestRecorder;
  readonly closed: () => boolean;
  readonly log: (line: string) => void;
}

type PickRequest = Parameters<InstanceDirectory['pick']>[0];

/** Those that can be sent to: without the ones to avoid, unless there are no others. */
function candidates(block: BlockReconciler, avoid?: ReadonlySet<string>): readonly Instance[] {
  const ready = block.routable;
  const others = avoid ? ready.filter(({ id }) => !avoid.has(id)) : ready;
  return others.length > 0 ? others : ready;
}

function leastOutstanding(instances: readonly Instance[]): Instance | undefined {
  return instances.reduce<Instance | undefined>(
    (best, instance) => (best && best.outstanding <= instance.outstanding ? best : instance),
    undefined,
  );
}

export function createInstanceDirectory(options: DirectoryOptions): InstanceDirectory {
  const { policies } = options;
  /** By reconciler: what was last said of its load balancer, which fails at every request or at none. */
  const said = new WeakMap<BlockReconciler, string>();

  function sayOnce(block: BlockReconciler, sentence: string, evaluation?: PolicyEvaluation): void {
    if (said.get(block) === sentence) return;
    said.set(block, sentence);
    const { tenant, blockId } = block;
    options.log(`block '${blockId}': its load balancer ${sentence}`);
    options.decisions.record({
      ...{ tenant, blockId, kind: 'failure', subject: `block/${blockId}`, reason: 'request' },
      ...{ outcome: 'failed', evaluations: evaluation ? [evaluation] : [] },
      message: `the load balancer ${sentence.replace(/\.$/, '')}. Requests go to the instance with the fewest in flight`,
    });
  }

  async function choose(
    block: BlockReconciler,
    request: PickRequest,
  ): Promise<Instance | undefined> {
    const ready = candidates(block, request.avoid);
    // The only answer there is: no need to ask.
    if (ready.length <= 1) return ready[0];
    const { tenant, blockId, sessionId } = request;
    const reference = block.declared?.policies.loadBalancer;
    const shared = options.clusterPolicies(tenant, ready[0]?.document.clusterId)?.loadBalancer;
    try {
      const { output, evaluation } = await policies.evaluate({
        tenant,
        hook: 'loadBalancer',
        action: 'load_balance',
        input: {
          action: 'load_balance',
          blockId,
          sessionId,
          instances: ready.map(({ id, outstanding }) => ({ id, outstandingRequests: outstanding })),
        },
        useSite: useSiteOf(blockId),
        inventoryRevision: options.inventoryRevision(),
        ...(reference ? { reference } : {}),
        ...(shared ? { defaults: shared } : {}),
      });
      if (evaluation.error) sayOnce(block, `failed: ${evaluation.error.message}`, evaluation);
      const chosen = block.routable.find(({ id }) => id === output.instanceId);
      if (chosen) return chosen;
      // It became so while the policy thought.
    } catch (error) {
      sayOnce(block, `failed: ${AiosError.from(error).message}`);
    }
    return leastOutstanding(candidates(block, request.avoid));
  }

  function route(
    { document, process, leaving, acquire }: RoutableInstance,
    block: BlockReconciler,
  ): RoutedInstance {
    const { tenant, blockId, id } = document;
    const release = acquire();
    const end = options.requests?.begin(tenant, blockId, id);
    return {
      instanceId: document.id,
      blockId: document.blockId,
      clusterId: document.clusterId,
      nodeId: document.nodeId,
      address: process.address,
      secret: document.secret,
      leaving,
      repeatable: block.declared?.workload?.workload.type === 'graph',
      release(outcome) {
        release();
        end?.(outcome);
      },
    };
  }

  /** Resolves at the block's next change, the deadline or the abort, whichever is first. */
  function change(request: PickRequest, deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        request.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, deadline - performance.now()));
      const stop = options.nextChange(request.tenant, request.blockId, done);
      request.signal.addEventListener('abort', done, { once: true });
    });
  }

  return {
    async pick(request) {
      const { tenant, blockId, waitMs, signal } = request;
      const deadline = performance.now() + waitMs;
      for (;;) {
        if (signal.aborted) throw AiosError.from(signal.reason, 'CANCELLED');
        if (options.closed()) throw new AiosError('CLOSED', 'The control plane is shutting down.');
        const block = options.block(tenant, blockId);
        if (!block || block.gone) throw notFound('block', blockId);
        const chosen = await choose(block, request);
        if (chosen?.process?.simulated) {
          throw new AiosError(
            'UNSUPPORTED',
            `block '${blockId}' runs on cluster '${chosen.document.clusterId}', which is simulated: its instances take their places and answer no calls.`,
            { details: { blockId } },
          );
        }
        if (chosen?.process) {
          const { document, process, leaving } = chosen;
          return route({ document, process, leaving, acquire: () => chosen.acquire() }, block);
        }
        const vain = vainReason(block);
        if (vain !== undefined) throw unplaced(blockId, vain, block.decisionId);
        if (performance.now() >= deadline) {
          throw new AiosError(
            'SHARD_UNAVAILABLE',
            `block '${blockId}' has no ready instance (${block.reason ?? 'it is starting'}). Retry soon; see: aios get block ${blockId}`,
            { details: { blockId } },
          );
        }
        const found = options.requests?.wait(tenant, blockId);
        await change(request, deadline);
        found?.();
      }
    },
    free: (tenant, blockId) =>
      new Map(options.block(tenant, blockId)?.routable.map((one) => [one.id, freeSlots(one)])),
    slots(tenant, blockId) {
      const ready = options.block(tenant, blockId)?.routable ?? [];
      // One that has not said yet will in a second; meanwhile the others take who comes.
      const known = ready.flatMap(({ selfStatus }) => selfStatus?.counters?.maxSessions || []);
      if (known.length === 0) return undefined;
      return known.reduce((sum, slots) => sum + slots, 0);
    },
    report: (instanceId, error) => options.instance(instanceId)?.suspect(error),
  };
}

const freeSlots = ({ selfStatus, outstanding }: Instance): number =>
  Math.max(0, (selfStatus?.counters?.maxSessions || Number.POSITIVE_INFINITY) - outstanding);

interface RoutableInstance {
  readonly document: Instance['document'];
  readonly process: NonNullable<Instance['process']>;
  readonly leaving: AbortSignal;
  readonly acquire: () => () => void;
}
