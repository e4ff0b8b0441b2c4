import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import type { BlockView, HookInput } from '../../sdk/hooks.ts';
import type { Candidate } from './dry-run.ts';
import type { LedgerEntry, PlacementLedger } from './ledger.ts';
import type { NodeAccount } from './node-account.ts';
import { isMisfit, type NodeRules } from './node-rules.ts';
import type { PlacementOptions } from './placement.ts';
import { nodeSnapshot } from './snapshot.ts';

const maxOptions = 20;
/** Nodes looked at in one cluster: those with the fewest instances of lower priority first. */
const maxNodes = 500;

type Option = HookInput<'preemption'>['options'][number];
type Victim = Option['victims'][number];

/** A set of victims, and the nodes as they will be when these have ended. */
export interface PreemptionOption {
  readonly candidate: Candidate;
  readonly shown: Option;
  readonly nodes: readonly NodeSnapshot[];
}

export interface Preempting {
  readonly tenant: string;
  readonly block: BlockView;
  readonly instances: number;
  readonly ledger: PlacementLedger;
  readonly priorityOf: NonNullable<PlacementOptions['blockPriority']>;
  readonly startedAtMs: NonNullable<PlacementOptions['startedAtMs']>;
  readonly rulesOf: (candidate: Candidate) => NodeRules;
  /** Nodes that the block may be on for what else runs there. */
  readonly allowed: readonly NodeSnapshot[];
}

/** One node, and what must end on it so that one more instance fits. */
interface Freed {
  readonly node: NodeSnapshot;
  readonly victims: readonly Victim[];
}

const cost = (victims: readonly Victim[]): number =>
  victims.reduce((sum, { priority }) => sum + priority, 0);

const cheaper = (a: readonly Victim[], b: readonly Victim[]): number =>
  a.length - b.length || cost(a) - cost(b);

/** Lowest priority first, then the youngest: it has the least to lose. */
const mostDispensable = (a: Victim, b: Victim): number =>
  a.priority - b.priority ||
  b.startedAtMs - a.startedAtMs ||
  (a.instanceId < b.instanceId ? -1 : 1);

/** The node without some instances, or nothing where the block still cannot be on it. */
function without(
  { view, snapshot }: Candidate,
  rules: NodeRules,
  node: NodeSnapshot,
  account: NodeAccount,
  gone: readonly LedgerEntry[],
): NodeSnapshot | undefined {
  const spec = view.spec.nodes[snapshot.nodes.indexOf(node)];
  if (!spec) return undefined;
  const tried = account.clone();
  for (const entry of gone) tried.remove(entry);
  const verdict = rules.judge(nodeSnapshot(view, spec, tried));
  return isMisfit(verdict) ? undefined : verdict;
}

/** Ends one after the other until an instance fits, then keeps those that it fits beside after all. */
function freeNode(
  candidate: Candidate,
  rules: NodeRules,
  node: NodeSnapshot,
  account: NodeAccount,
  victims: readonly { readonly victim: Victim; readonly entry: LedgerEntry }[],
): Freed | undefined {
  const order = [...victims].sort((a, b) => mostDispensable(a.victim, b.victim));
  const tryWithout = (gone: typeof order): NodeSnapshot | undefined =>
    without(
      candidate,
      rules,
      node,
      account,
      gone.map(({ entry }) => entry),
    );
  let ended = order;
  let freed: NodeSnapshot | undefined;
  for (let count = 1; count <= order.length && !freed; count += 1) {
    ended = order.slice(0, count);
    freed = tryWithout(ended);
  }
  if (!freed) return undefined;
  for (const spared of [...ended].reverse()) {
    const fewer = ended.filter((each) => each !== spared);
    const still = fewer.length > 0 ? tryWithout(fewer) : undefined;
    if (!still) continue;
    ended = fewer;
    freed = still;
  }
  return { node: freed, victims: ended.map(({ victim }) => victim) };
}

function freedNodes(preempting: Preempting, candidate: Candidate): readonly Freed[] {
  const { tenant, block, ledger, priorityOf, startedAtMs } = preempting;
  const { snapshot } = candidate;
  const own = block.priority ?? 0;
  const rules = preempting.rulesOf(candidate);
  const account = ledger.cluster(snapshot.id);
  const byNode = new Map<string, { victim: Victim; entry: LedgerEntry }[]>();
  for (const entry of ledger.evictable(snapshot.id)) {
    const { instanceId, blockId, nodeId, memoryBytes, cpuCores, gpus } = entry;
    const priority = priorityOf(tenant, blockId);
    if (priority >= own || blockId === block.id) continue;
    const amounts = {
      memoryBytes,
      cpuCores,
      gpus: gpus.map(({ index, memoryBytes }) => ({ index, memoryBytes })),
    };
    const startedAt = startedAtMs(tenant, instanceId);
    const victim: Victim = { instanceId, blockId, priority, startedAtMs: startedAt, amounts };
    const known = byNode.get(nodeId);
    if (known) known.push({ victim, entry });
    else byNode.set(nodeId, [{ victim, entry }]);
  }
  const nodes = preempting.allowed.filter(({ id }) => byNode.has(id));
  nodes.sort((a, b) => (byNode.get(a.id)?.length ?? 0) - (byNode.get(b.id)?.length ?? 0));
  return nodes.slice(0, maxNodes).flatMap((node) => {
    const victims = byNode.get(node.id) ?? [];
    const found = freeNode(candidate, rules, node, account.node(node.id), victims);
    return found ? [found] : [];
  });
}

/**
 * Sets of instances of lower priority whose end makes room on one cluster, the smallest first, at most 20. An instance a
 * node is counted; nodes that hold one already come without victims.
 */
export function preemptionOptions(
  preempting: Preempting,
  candidate: Candidate,
  roomy: readonly NodeSnapshot[],
): readonly PreemptionOption[] {
  const needed = preempting.instances - roomy.length;
  const freed = freedNodes(preempting, candidate)
    .filter(({ node }) => !roomy.some(({ id }) => id === node.id))
    .sort((a, b) => cheaper(a.victims, b.victims) || (a.node.id < b.node.id ? -1 : 1));
  const options: PreemptionOption[] = [];
  for (let from = 0; from + needed <= freed.length && options.length < maxOptions; from += 1) {
    const chosen = freed.slice(from, from + Math.max(1, needed));
    options.push({
      candidate,
      nodes: [...roomy, ...chosen.map(({ node }) => node)],
      shown: {
        clusterId: candidate.snapshot.id,
        nodeIds: chosen.map(({ node }) => node.id),
        victims: chosen.flatMap(({ victims }) => victims),
      },
    });
  }
  return options;
}

/** Of several clusters, the smallest sets first. */
export const fewestFirst = (options: readonly PreemptionOption[]): readonly PreemptionOption[] =>
  [...options].sort((a, b) => cheaper(a.shown.victims, b.shown.victims)).slice(0, maxOptions);

/** The cluster as it will be when the victims have ended. */
export function clusterWithout(
  snapshot: ClusterSnapshot,
  nodes: readonly NodeSnapshot[],
): ClusterSnapshot {
  const freed = new Map(nodes.map((node) => [node.id, node]));
  return { ...snapshot, nodes: snapshot.nodes.map((node) => freed.get(node.id) ?? node) };
}
