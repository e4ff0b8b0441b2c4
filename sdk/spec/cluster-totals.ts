import { mebibyte } from '../units.ts';
import { isObject, type Located } from './located.ts';
import { readGroup, sum, warnUnequal } from './quantities.ts';
import type { Source } from './source.ts';

/** The sums that AIOS keeps in the cluster; the nodes are what counts. */
export function checkTotals(source: Source, declaredNodes: Located): void {
  const { draft, fields, reading } = source;
  const nodes = (Array.isArray(draft.value.nodes) ? draft.value.nodes : []) as Record<
    string,
    unknown
  >[];
  const total = (amountOf: (node: Record<string, unknown>) => unknown): number =>
    sum(nodes.map((node) => Number(amountOf(node)) || 0));
  const gpusOf = (node: Record<string, unknown>) =>
    (Array.isArray(node.gpus) ? node.gpus : []) as { memoryBytes?: number }[];
  const metadataOf = ({ metadata }: Record<string, unknown>) =>
    isObject(metadata) ? metadata : {};
  const check = (declared: Located | undefined, actual: number): void => {
    if (declared && nodes.length > 0) warnUnequal(reading, declared, 'the nodes sum up to', actual);
  };

  const group = <const N extends string>(name: string, names: readonly N[], ignored?: string[]) =>
    readGroup(reading, fields.take(name), names, ignored);
  const gpus = group('gpus', ['count', 'memory'], ['modelNames', 'features', 'gpus']);
  const storage = group('storage', ['disks', 'size']);
  const links = ['interfaces', 'txBandwidth', 'rxBandwidth'] as const;
  const network = group('network', links);
  check(
    gpus.count,
    total((node) => gpusOf(node).length),
  );
  check(
    gpus.memory,
    total((node) => sum(gpusOf(node).map(({ memoryBytes = 0 }) => memoryBytes))) / mebibyte,
  );
  check(
    group('vcpus', ['count']).count,
    total((node) => node.cpuCores),
  );
  check(fields.take('memory'), total((node) => node.memoryBytes) / mebibyte);
  check(fields.take('swap'), total((node) => node.swapBytes) / mebibyte);
  check(storage.size, total((node) => node.storageBytes) / mebibyte);
  check(
    storage.disks,
    total((node) => metadataOf(node).disks),
  );
  for (const name of links) {
    const ofNode = (node: Record<string, unknown>): unknown => {
      const { network: own } = metadataOf(node);
      return isObject(own) ? own[name] : 0;
    };
    check(network[name], total(ofNode));
  }
  if (nodes.length > 0) warnUnequal(reading, declaredNodes, 'the list of nodes has', nodes.length);
}
