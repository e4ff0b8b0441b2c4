import type { PlannedInstance } from '../../sdk/client/api.ts';
import type { Amounts } from '../../sdk/cluster.ts';
import type { NodeSpec } from '../../sdk/spec/cluster.ts';
import { formatBytes } from '../../sdk/units.ts';

/** Cores are counted in millionths: sums of decimals drift, sums of whole numbers do not. */
const toMicrocores = (cores: number): number => Math.round(cores * 1e6);

/** What is promised of one device. */
interface DeviceAccount {
  memoryBytes: number;
  holders: number;
  exclusiveHolders: number;
}

/** One amount that is short. */
export interface Shortage {
  /** `memoryBytes`, `cpuCores`, `gpus[2].memoryBytes`. */
  readonly amount: string;
  readonly wanted: string;
  readonly free: string;
}

/**
 * What is promised of one node. Knows a node's promises also before its capacity is declared and after it was taken
 * away, so that declaring it again finds them.
 */
export class NodeAccount {
  #capacity: { memoryBytes: number; microcores: number; gpus: readonly number[] } | undefined;
  #memoryBytes = 0;
  #microcores = 0;
  #instances = 0;
  readonly #devices = new Map<number, DeviceAccount>();
  readonly #onChange: (grew: boolean) => void;

  /** @param onChange - after every change: what was derived from the account holds no more */
  constructor(onChange: (grew: boolean) => void = () => undefined) {
    this.#onChange = onChange;
  }

  get instances(): number {
    return this.#instances;
  }

  declare(spec: NodeSpec | undefined): void {
    this.#capacity = spec && {
      memoryBytes: spec.memoryBytes,
      microcores: toMicrocores(spec.cpuCores),
      gpus: spec.gpus.map((gpu) => gpu.memoryBytes),
    };
    this.#onChange(true);
  }

  /** Neither declared nor promised: nothing is lost with it. */
  get isEmpty(): boolean {
    return this.#capacity === undefined && this.#instances === 0;
  }

  device(index: number): { freeMemoryBytes: number; sharedBy: number; exclusive: boolean } {
    const promised = this.#devices.get(index);
    const exclusive = (promised?.exclusiveHolders ?? 0) > 0;
    const left = (this.#capacity?.gpus[index] ?? 0) - (promised?.memoryBytes ?? 0);
    return {
      freeMemoryBytes: exclusive ? 0 : Math.max(0, left),
      sharedBy: promised?.holders ?? 0,
      exclusive,
    };
  }

  /** Never negative, also where a node shrank below what it had promised. */
  free(): Amounts {
    const capacity = this.#capacity;
    return {
      memoryBytes: Math.max(0, (capacity?.memoryBytes ?? 0) - this.#memoryBytes),
      cpuCores: Math.max(0, (capacity?.microcores ?? 0) - this.#microcores) / 1e6,
      gpus: (capacity?.gpus ?? []).map((_, index) => ({
        index,
        memoryBytes: this.device(index).freeMemoryBytes,
      })),
    };
  }

  /** The same promises in an account of its own: to try what would be if some were given back. */
  clone(): NodeAccount {
    const copy = new NodeAccount();
    copy.#capacity = this.#capacity;
    copy.#memoryBytes = this.#memoryBytes;
    copy.#microcores = this.#microcores;
    copy.#instances = this.#instances;
    for (const [index, device] of this.#devices) copy.#devices.set(index, { ...device });
    return copy;
  }

  /** @returns the first amount that one more instance would take too much of */
  shortage(wanted: PlannedInstance): Shortage | undefined {
    const free = this.free();
    if (wanted.memoryBytes > free.memoryBytes) {
      return {
        amount: 'memoryBytes',
        wanted: formatBytes(wanted.memoryBytes),
        free: formatBytes(free.memoryBytes),
      };
    }
    if (toMicrocores(wanted.cpuCores) > toMicrocores(free.cpuCores)) {
      return {
        amount: 'cpuCores',
        wanted: String(wanted.cpuCores),
        free: String(free.cpuCores),
      };
    }
    for (const { index, memoryBytes, exclusive } of wanted.gpus) {
      const device = this.device(index);
      const exists = index < (this.#capacity?.gpus.length ?? 0);
      const lonely = !exclusive || device.sharedBy === 0;
      if (exists && lonely && !device.exclusive && memoryBytes <= device.freeMemoryBytes) continue;
      return {
        amount: `gpus[${index}].memoryBytes`,
        wanted: `${formatBytes(memoryBytes)}${exclusive ? ', exclusive' : ''}`,
        free: exists
          ? `${formatBytes(device.freeMemoryBytes)}${device.sharedBy > 0 ? `, held by ${device.sharedBy}` : ''}`
          : 'no such device',
      };
    }
    return undefined;
  }

  add(instance: PlannedInstance): void {
    this.#change(instance, 1);
  }

  remove(instance: PlannedInstance): void {
    this.#change(instance, -1);
  }

  #change({ memoryBytes, cpuCores, gpus }: PlannedInstance, sign: 1 | -1): void {
    this.#instances += sign;
    this.#memoryBytes += sign * memoryBytes;
    this.#microcores += sign * toMicrocores(cpuCores);
    for (const { index, memoryBytes: share, exclusive } of gpus) {
      const device = this.#devices.get(index) ?? {
        memoryBytes: 0,
        holders: 0,
        exclusiveHolders: 0,
      };
      device.memoryBytes += sign * share;
      device.holders += sign;
      device.exclusiveHolders += exclusive ? sign : 0;
      this.#devices.set(index, device);
    }
    this.#onChange(sign < 0);
  }
}
