import type { SplitPreview } from '../runtime/model/index.ts';
import type { HookInput } from '../sdk/hooks.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';
import { renderCuts } from './shards.ts';

type Nodes = HookInput<'splitPlanner'>['nodes'];

/** A node, and what of the split would be on it. */
export interface NodeFit {
  readonly node: string;
  readonly freeMemoryBytes: number;
  readonly shards: readonly number[];
  readonly takenBytes: number;
}

export interface PlannedSplit extends SplitPreview {
  /** Of the clusters that it is to fit; empty: none were named. */
  readonly nodes: Nodes;
  /** Of each shard, as `clusterId/nodeId`, where the planner chose them. */
  readonly chosenNodes?: readonly string[];
}

const nameOf = ({ clusterId, nodeId }: Nodes[number]) => `${clusterId}/${nodeId}`;

/** What each shard's process takes. */
export function shardMemory({ outline, shards }: SplitPreview): number[] {
  return shards.map(
    ({ residentBytes, kvBytes }) => residentBytes + kvBytes + outline.overheadBytes,
  );
}

/**
 * Where shards would go: as the planner chose, else the largest first, each where most is left.
 *
 * @returns the nodes in the order given, and the shards that no node has room for
 */
export function fitNodes(planned: PlannedSplit): { fits: NodeFit[]; homeless: number[] } {
  const { nodes, chosenNodes } = planned;
  const memory = shardMemory(planned);
  const left = new Map(nodes.map((node) => [nameOf(node), node.freeMemoryBytes]));
  const homes = new Map<number, string>();
  const homeless: number[] = [];
  const order = memory.map((bytes, shard) => ({ bytes, shard })).sort((a, b) => b.bytes - a.bytes);
  for (const { bytes, shard } of order) {
    const roomiest = [...left].sort((a, b) => b[1] - a[1])[0]?.[0];
    const home = chosenNodes?.[shard] ?? roomiest;
    const free = home === undefined ? undefined : left.get(home);
    if (home === undefined || free === undefined || free < bytes) homeless.push(shard);
    else {
      left.set(home, free - bytes);
      homes.set(shard, home);
    }
  }
  const fits = nodes.map((node): NodeFit => {
    const shards = memory.flatMap((_, shard) => (homes.get(shard) === nameOf(node) ? [shard] : []));
    const takenBytes = shards.reduce((sum, shard) => sum + (memory[shard] ?? 0), 0);
    return { node: nameOf(node), freeMemoryBytes: node.freeMemoryBytes, shards, takenBytes };
  });
  return { fits, homeless: homeless.sort((a, b) => a - b) };
}

/** For programs. */
export function describeSplit(planned: PlannedSplit) {
  const { outline, nodes } = planned;
  const memory = shardMemory(planned);
  const { fits, homeless } = fitNodes(planned);
  return {
    model: outline.name,
    architecture: outline.architecture,
    contextTokens: outline.contextTokens,
    overheadBytes: outline.overheadBytes,
    ...(planned.estimated ? { estimated: true } : {}),
    shards: planned.shards.map((shard, index) => ({ index, ...shard, memoryBytes: memory[index] })),
    ...(nodes.length > 0 ? { nodes: fits, homeless } : {}),
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** One row a shard, their sums, and one row a node. */
export function renderSplit(planned: PlannedSplit, context: Context): string {
  const { outline, shards, nodes, estimated } = planned;
  const { table, style } = context;
  const memory = shardMemory(planned);
  const overhead = outline.overheadBytes;
  const row = (name: string, layers: string, bytes: readonly number[]) => [
    ...[name, layers],
    ...bytes.map(formatBytes),
  ];
  const rows = shards.map(({ firstLayer, lastLayer, fileBytes, residentBytes, kvBytes }, index) =>
    row(String(index), `${firstLayer}–${lastLayer}`, [
      ...[fileBytes, residentBytes, kvBytes, overhead, memory[index] ?? 0],
    ]),
  );
  const total = (of: 'fileBytes' | 'residentBytes' | 'kvBytes') =>
    sum(shards.map((shard) => shard[of]));
  rows.push(
    row('all', '', [
      ...[total('fileBytes'), total('residentBytes'), total('kvBytes')],
      ...[overhead * shards.length, sum(memory)],
    ]),
  );
  const titles = ['>shard', 'layers', '>file', '>resident', '>kv cache', '>process', '>memory'];
  // Only what keeps keys and values has a context.
  const span = total('kvBytes') > 0 ? `, ${outline.contextTokens} tokens of context` : '';
  const said = `${style.bold(outline.name)}: ${outline.architecture}${span}. Nothing was written.`;
  const head = estimated
    ? `${said}\nYour splitter has no shards(): sizes are those of the layers that it told the planner, cut as it was told.`
    : said;
  const shardTable = [table(titles, rows), ...renderCuts(planned)].join('\n');
  if (nodes.length === 0) return [head, '', shardTable].join('\n');
  const { fits, homeless } = fitNodes(planned);
  const places = fits.map(({ node, freeMemoryBytes, shards: held, takenBytes }) => [
    ...[node, formatBytes(freeMemoryBytes), held.join(' ') || '–'],
    ...[formatBytes(takenBytes), formatBytes(freeMemoryBytes - takenBytes)],
  ]);
  return [
    ...[head, '', shardTable, ''],
    table(['node', '>free', 'shards', '>takes', '>leaves'], places),
    ...(homeless.length === 0
      ? []
      : ['', style.bad(`no node has room for shard ${homeless.join(', ')}`)]),
  ].join('\n');
}
