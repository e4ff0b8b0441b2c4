import type { PolicyCommandResult } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { HookAction, HookName } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { NetworkSpec } from '../../sdk/spec/network.ts';
import { resolvePolicies, useSiteOf, type WatchedBlock } from '../block/index.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { Inventory, Metrics } from '../metrics/index.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { Registry } from '../registry/index.ts';
import { type ManagementCommand, readCommand } from './read-command.ts';

export interface ManagementParts {
  readonly policies: Pick<PolicyHost, 'manage' | 'evaluate'>;
  readonly registry: Pick<Registry, 'get' | 'require'>;
  readonly watched: (
    tenant: string,
    blockId: string,
  ) => Pick<WatchedBlock, 'clusterId'> | undefined;
  readonly inventory: Pick<Inventory, 'cluster' | 'revision'>;
  readonly metrics: Pick<Metrics, 'block'>;
  readonly network: (tenant: string) => NetworkSpec;
  readonly decisions: Pick<DecisionLog, 'record'>;
  /** Asks the pre-checks. @returns the command, rewritten maybe @throws {AiosError} ADMISSION_DENIED */
  readonly admit: (tenant: string, useSite: string, command: Json) => Promise<Json>;
}

type Policies = Readonly<Record<string, PolicyReference>>;

/** Who answers, and under which defaults. */
interface Site {
  readonly useSite: string;
  readonly reference?: PolicyReference;
  readonly defaults: readonly PolicyReference[];
  readonly blockId?: string;
}

const own = (policies: Policies | undefined, name: string): readonly PolicyReference[] => {
  const found = policies && Object.hasOwn(policies, name) ? policies[name] : undefined;
  return found ? [found] : [];
};

function siteOf(useSite: string, levels: readonly (readonly PolicyReference[])[]): Site {
  const [at = [], ...defaults] = levels;
  const [reference] = at;
  return { useSite, defaults: defaults.flat(), ...(reference ? { reference } : {}) };
}

/** Nobody is told anything at a hook that nobody asks there. */
function assertAsked(
  given: readonly PolicyReference[],
  { target, hook, preCheck }: ManagementCommand,
) {
  if (given.length > 0) return;
  const what = preCheck === undefined ? `'${hook}'` : `pre-check '${preCheck}'`;
  throw new AiosError('NOT_FOUND', `${target} has no policy at ${what}. Name one there first.`);
}

/** Which clusters are tried, and who gives way, is decided before there is one. */
const asksCluster = (hook: HookName): boolean =>
  hook !== 'clusterAllocator' && hook !== 'preemption';

/** Questions of AIOS's executors that are commands there, and actions of the hook here. */
const questions: ReadonlySet<string> = new Set(['estimate', 'check_execute']);

/** Commands to policies, each at one of its use sites. */
export function createManagement(parts: ManagementParts) {
  const { policies, registry, inventory } = parts;

  async function blockSite(tenant: string, id: string, told: ManagementCommand): Promise<Site> {
    const { value } = await registry.require(tenant, 'block', id);
    const component = await registry.get(tenant, 'component', value.componentUri);
    const clusterId = parts.watched(tenant, id)?.clusterId;
    const cluster =
      clusterId === undefined || !asksCluster(told.hook)
        ? undefined
        : inventory.cluster(tenant, clusterId);
    const site = siteOf(useSiteOf(id), [
      own(component && resolvePolicies(value, component.value), told.hook),
      own(cluster?.spec.policies, told.hook),
      own(parts.network(tenant).policies, told.hook),
    ]);
    return { ...site, blockId: id };
  }

  async function site(tenant: string, told: ManagementCommand): Promise<Site> {
    const { target, hook, preCheck } = told;
    const network = parts.network(tenant);
    if (target === 'network') {
      const given = preCheck === undefined ? [] : own(network.preChecks, preCheck);
      assertAsked(given, told);
      return siteOf('network', [given]);
    }
    const slash = target.indexOf('/');
    const id = target.slice(slash + 1);
    switch (target.slice(0, slash)) {
      case 'block':
        return blockSite(tenant, id, told);
      case 'cluster': {
        const { value } = await registry.require(tenant, 'cluster', id);
        const checks = preCheck === undefined ? undefined : own(value.preChecks, preCheck);
        const levels = checks ? [checks] : [own(value.policies, hook), own(network.policies, hook)];
        assertAsked(levels.flat(), told);
        return siteOf(target, levels);
      }
      default: {
        const reference = { policyRuleURI: id, parameters: {}, settings: {} } as PolicyReference;
        return { useSite: 'call', reference, defaults: [] };
      }
    }
  }

  /** What of a command the pre-checks may rewrite. */
  async function admitted(tenant: string, told: ManagementCommand): Promise<ManagementCommand> {
    const { target, hook, preCheck, command, data } = told;
    const input = { hook, ...(preCheck === undefined ? {} : { preCheck }), command, data };
    const answer = await parts.admit(tenant, target, input);
    if (answer === input) return told;
    const rewritten = answer as { readonly command?: unknown; readonly data?: Json };
    if (typeof rewritten?.command !== 'string') {
      const message = 'the command is refused: a pre-check rewrote it into none.';
      throw new AiosError('ADMISSION_DENIED', message);
    }
    return { ...told, command: rewritten.command, data: rewritten.data ?? {} };
  }

  async function ask(tenant: string, { blockId, ...at }: Site, told: ManagementCommand) {
    const { command, data, hook } = told;
    if (blockId === undefined || hook !== 'loadBalancer' || !questions.has(command))
      return undefined;
    const metrics = parts.metrics.block(tenant, blockId);
    const instances = (metrics?.instances ?? [])
      .filter(({ ready }) => ready)
      .map(({ id, nodeId, outstandingRequests, latencyMs }) => ({
        ...{ id, nodeId, outstandingRequests: outstandingRequests.last },
        ...(latencyMs ? { latencyMs: latencyMs.averages['1m'] } : {}),
      }));
    const about = { blockId, instances, ...(metrics ? { metrics } : {}) };
    const input = { action: command as 'check_execute', ...about, inputs: data };
    const { inputs: _, ...rest } = input;
    const { output, evaluation } = await policies.evaluate({
      ...{ tenant, hook: 'loadBalancer' as const, ...at },
      action: command as HookAction<'loadBalancer'> as 'check_execute',
      input: command === 'estimate' ? (rest as never) : input,
      inventoryRevision: inventory.revision,
    });
    const { policyUri, policyHash, logs } = evaluation;
    return { policyUri, policyHash, logs, result: output as Json, stateChanged: false };
  }

  return async function manage(tenant: string, document: unknown): Promise<PolicyCommandResult> {
    const read = readCommand(document);
    const { target } = read;
    const at = await site(tenant, read);
    const told = await admitted(tenant, read);
    const { hook, command, data } = told;
    const { blockId: _, ...rest } = at;
    const record = (outcome: 'changed' | 'answered' | 'failed', message: string) =>
      parts.decisions.record({
        ...{ tenant, kind: 'management', subject: target, reason: 'request', outcome, message },
        ...{ evaluations: [], details: { hook, command } },
      });
    try {
      const managed =
        (await ask(tenant, at, told)) ??
        (await policies.manage({ tenant, hook, ...rest, command: { action: command, data } }));
      const { stateChanged, policyUri } = managed;
      const { id } = record(
        stateChanged ? 'changed' : 'answered',
        `'${policyUri}' was told '${command}'${stateChanged ? ', and what it keeps changed' : ''}`,
      );
      return { target, hook, ...managed, decisionId: id };
    } catch (fault) {
      const error = AiosError.from(fault);
      record('failed', `'${command}': ${error.message}`);
      throw error;
    }
  };
}
