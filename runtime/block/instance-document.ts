import { randomBytes } from 'node:crypto';
import type { PlannedInstance } from '../../sdk/client/api.ts';
import type { InstanceProcess } from '../cluster/backend.ts';

/**
 * What the store knows of an instance: written with its promise, before its process is started; removed when its
 * process is gone. So after any crash the documents name every process there can be.
 */
export interface InstanceDocument {
  readonly id: string;
  readonly tenant: string;
  readonly blockId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  /** The amounts that the ledger holds for it. */
  readonly planned: PlannedInstance;
  /** 32 random bytes, hex. */
  readonly secret: string;
  /** Of what it runs; a block whose workload has another hash replaces its instances. */
  readonly workloadHash: string;
  /** How often this place of the block was filled again. */
  readonly restarts: number;
  readonly createdAtMs: number;
  readonly process?: InstanceProcess;
}

export const instanceKey = (tenant: string, id: string) =>
  ({ tenant, kind: 'instance', id }) as const;

const suffixLetters = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Never used twice, so that logs and decisions stay unambiguous. */
export function newInstanceId(blockId: string): string {
  const suffix = Array.from(randomBytes(8), (byte) => suffixLetters[byte % suffixLetters.length]);
  return `${blockId.slice(0, 200)}-${suffix.join('')}`;
}

export const newSecret = (): string => randomBytes(32).toString('hex');
