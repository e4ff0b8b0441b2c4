import { randomBytes } from 'node:crypto';
import type { PlannedInstance } from '../../sdk/client/api.ts';
import type { InstanceProcess } from '../cluster/backend.ts';
import type { Store } from '../store/index.ts';

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

/** Writes down how to find the process again. */
export async function rememberProcess(
  store: Store,
  instance: {
    readonly document: InstanceDocument;
    readonly process: InstanceProcess | undefined;
    remembered(document: InstanceDocument): void;
  },
): Promise<void> {
  const { process, document } = instance;
  if (!process || document.process) return;
  const value = { ...document, process };
  await store.commit([{ ...instanceKey(document.tenant, document.id), type: 'put', value }]);
  instance.remembered(value);
}

const suffixLetters = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Never used twice, so that logs and decisions stay unambiguous. */
export function newInstanceId(blockId: string): string {
  const suffix = Array.from(randomBytes(8), (byte) => suffixLetters[byte % suffixLetters.length]);
  return `${blockId.slice(0, 200)}-${suffix.join('')}`;
}

export const newSecret = (): string => randomBytes(32).toString('hex');
