import type { PlannedInstance } from '../../sdk/client/api.ts';
import type { NodeAccount } from './node-account.ts';

type NodeOf = (nodeId: string) => NodeAccount;
type Gpu = PlannedInstance['gpus'][number];

function group(instances: Iterable<PlannedInstance>): ReadonlyMap<string, PlannedInstance[]> {
  const byNode = new Map<string, PlannedInstance[]>();
  for (const instance of instances) {
    const known = byNode.get(instance.nodeId);
    if (known) known.push(instance);
    else byNode.set(instance.nodeId, [instance]);
  }
  return byNode;
}

function sum(instances: readonly PlannedInstance[]) {
  let memoryBytes = 0;
  let cpuCores = 0;
  const gpus = new Map<number, Gpu>();
  for (const instance of instances) {
    memoryBytes += instance.memoryBytes;
    cpuCores += instance.cpuCores;
    for (const gpu of instance.gpus) {
      const known = gpus.get(gpu.index);
      gpus.set(gpu.index, {
        index: gpu.index,
        memoryBytes: gpu.memoryBytes + (known?.memoryBytes ?? 0),
        exclusive: gpu.exclusive || known?.exclusive === true,
      });
    }
  }
  return { memoryBytes, cpuCores, gpus };
}

const beyond = (wanted: number, given: number): number => Math.max(0, wanted - given);

/** What a node must keep free beside what the victims still hold, so that the plan fits when they are gone. */
function heldBack(
  nodeId: string,
  plan: readonly PlannedInstance[],
  victims: readonly PlannedInstance[],
): PlannedInstance {
  const wanted = sum(plan);
  const given = sum(victims);
  return {
    instanceId: '',
    nodeId,
    memoryBytes: beyond(wanted.memoryBytes, given.memoryBytes),
    cpuCores: beyond(wanted.cpuCores, given.cpuCores),
    gpus: [...wanted.gpus.values()].map(({ index, memoryBytes, exclusive }) => ({
      index,
      memoryBytes: beyond(memoryBytes, given.gpus.get(index)?.memoryBytes ?? 0),
      exclusive,
    })),
  };
}

/**
 * A plan that takes the place of instances which have not ended yet. Until the last of them has, each node holds back what
 * the plan needs beyond what they still hold: whatever is given back goes to the plan, and to nobody else.
 */
export class Claim {
  readonly #plan: ReadonlyMap<string, PlannedInstance[]>;
  readonly #victims: Map<string, PlannedInstance>;
  readonly #nodeOf: NodeOf;
  #held: readonly PlannedInstance[] = [];

  constructor(
    plan: readonly PlannedInstance[],
    victims: readonly PlannedInstance[],
    nodeOf: NodeOf,
  ) {
    this.#plan = group(plan);
    this.#victims = new Map(victims.map((victim) => [victim.instanceId, victim]));
    this.#nodeOf = nodeOf;
  }

  /** Ids of the instances that have not ended yet. */
  get victims(): readonly string[] {
    return [...this.#victims.keys()];
  }

  /** Holds back what is needed now, in the place of what was. */
  hold(): void {
    this.letGo();
    const victims = group(this.#victims.values());
    this.#held = [...this.#plan].map(([nodeId, plan]) =>
      heldBack(nodeId, plan, victims.get(nodeId) ?? []),
    );
    for (const held of this.#held) this.#nodeOf(held.nodeId).add(held);
  }

  letGo(): void {
    for (const held of this.#held) this.#nodeOf(held.nodeId).remove(held);
    this.#held = [];
  }

  /** @param giveBack - gives back what the victim held */
  ended(instanceId: string, giveBack: () => void): void {
    this.letGo();
    giveBack();
    this.#victims.delete(instanceId);
    if (this.#victims.size > 0) this.hold();
  }
}

/** Where the plan would not fit even with the victims gone. */
export function shortageWithout(
  plan: readonly PlannedInstance[],
  victims: readonly PlannedInstance[],
  nodeOf: NodeOf,
) {
  const gone = group(victims);
  for (const [nodeId, instances] of group(plan)) {
    const node = nodeOf(nodeId).clone();
    for (const victim of gone.get(nodeId) ?? []) node.remove(victim);
    for (const instance of instances) {
      const short = node.shortage(instance);
      if (short) return { ...short, instanceId: instance.instanceId, nodeId };
      node.add(instance);
    }
  }
  return undefined;
}
