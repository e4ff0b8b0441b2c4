import {
  compileClusterFilter,
  compileEntityFilter,
  compileNodeFilter,
  filterVariables,
} from '../../runtime/placement/filter/index.ts';
import type { BlockStatus, ClusterStatus } from '../../sdk/client/api.ts';
import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import type { Misfit } from '../../sdk/fit.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { documentOptions } from '../create.ts';
import { namedFile, readDocument } from '../documents.ts';

const levels = ['cluster', 'node', 'gpu', 'block'] as const;
type Level = (typeof levels)[number];

/** One thing that the filter was asked about. */
interface Row extends Partial<Misfit> {
  readonly clusterId?: string;
  readonly nodeId?: string;
  readonly gpu?: number;
  readonly blockId?: string;
  readonly passes: boolean;
}

interface State {
  readonly clusters: readonly ClusterStatus[];
  readonly blocks: readonly BlockStatus[];
}

/** Rows beyond these are left to `--json`. */
const shownRows = 100;

/** The finest level that the filter speaks of. */
function levelOf(filter: unknown): Level {
  const speaksOf = (...keys: string[]): boolean =>
    typeof filter === 'object' && filter !== null && keys.some((key) => Object.hasOwn(filter, key));
  if (speaksOf('blockQuery', 'blockMetricsQuery')) return 'block';
  if (speaksOf('gpuQuery')) return 'gpu';
  return speaksOf('nodeQuery', 'nodeMetricsQuery') ? 'node' : 'cluster';
}

function subjectOf({ spec, nodes }: ClusterStatus) {
  const { id, regionId, tags, metadata, reputation, status } = spec;
  const snapshot: ClusterSnapshot = {
    ...{ id, regionId, tags, metadata, nodes },
    ...(reputation === undefined ? {} : { reputation }),
    ...(status === undefined ? {} : { status }),
  };
  return { spec, snapshot };
}

const verdict = (refused: Misfit | undefined) => ({ passes: !refused, ...refused });

/** Compiles first, so that a wrong filter is refused without a control plane. */
function compile(level: Level, filter: unknown): (state: State) => readonly Row[] {
  if (level === 'block') {
    const { test } = compileEntityFilter('block', filter, '$');
    return ({ blocks, clusters }) =>
      blocks.map((block): Row => {
        const { spec, instances, clusterId } = block;
        const cluster = clusters.find((each) => each.spec.id === clusterId);
        const refused = test({
          document: block,
          metrics: { blockId: spec.id, instances },
          ...(cluster ? { cluster: subjectOf(cluster) } : {}),
        });
        return { blockId: spec.id, ...(clusterId ? { clusterId } : {}), ...verdict(refused) };
      });
  }
  const nodes = compileNodeFilter(filter, '$', level);
  const { test } = compileClusterFilter(filter, '$', level);
  return ({ clusters }) =>
    clusters.flatMap((cluster): readonly Row[] => {
      const clusterId = cluster.spec.id;
      const outside = test(subjectOf(cluster));
      if (level === 'cluster') return [{ clusterId, ...verdict(outside) }];
      return cluster.nodes.flatMap((node): readonly Row[] => {
        const inside = outside ?? nodes.test(node);
        const row = { clusterId, nodeId: node.id };
        if (level === 'node') return [{ ...row, ...verdict(inside) }];
        return node.gpus.map((gpu) => ({
          ...{ ...row, gpu: gpu.index },
          ...verdict(outside ?? nodes.testDevice(gpu) ?? inside),
        }));
      });
    });
}

function countsOf(rows: readonly Row[]) {
  const refused = new Map<string, number>();
  for (const { refusedBy } of rows) {
    if (refusedBy !== undefined) refused.set(refusedBy, (refused.get(refusedBy) ?? 0) + 1);
  }
  return [...refused]
    .sort(([, a], [, b]) => b - a)
    .map(([refusedBy, count]) => ({ refusedBy, count }));
}

function render(level: Level, rows: readonly Row[], { style, table }: Context): string {
  const passed = rows.filter(({ passes }) => passes).length;
  const summary = `${style.bold(`${passed} of ${rows.length}`)} ${level === 'gpu' ? 'GPU' : level}s pass`;
  const columns: Readonly<Record<Level, readonly (keyof Row)[]>> = {
    cluster: ['clusterId'],
    node: ['clusterId', 'nodeId'],
    gpu: ['clusterId', 'nodeId', 'gpu'],
    block: ['blockId', 'clusterId'],
  };
  const shown = rows
    .slice(0, shownRows)
    .map((row) => [
      ...columns[level].map((column) => String(row[column] ?? '–')),
      row.passes ? style.good('passes') : style.warn(`refused: ${row.refusedBy}; saw ${row.seen}`),
    ]);
  const titles = columns[level].map((column) => column.replace(/Id$/, ''));
  return [
    ...(shown.length > 0 ? [table([...titles, 'verdict'], shown), ''] : []),
    ...(rows.length > shownRows
      ? [style.dim(`${rows.length - shownRows} more are not shown; --json lists all`)]
      : []),
    summary,
    ...countsOf(rows).map(({ refusedBy, count }) => style.dim(`  ${count} refused: ${refusedBy}`)),
  ].join('\n');
}

function listVariables(only: Level | undefined, context: Context): void {
  const variables = (only ? [only] : levels).flatMap((level) =>
    filterVariables[level]().map((variable) => ({ level, ...variable })),
  );
  context.result(variables, () =>
    context.table(
      ['about', 'in', 'name', 'is'],
      variables.map(({ level, query, name, type, list }) => [
        ...[level, query, name],
        list ? `list of ${type}` : type,
      ]),
    ),
  );
}

export const filter = defineCommand({
  usage: 'filter [spec]',
  summary: 'Tries a filter against what there is now: who passes, and what refuses the others',
  examples: [
    [
      'aios filter filter.json',
      'clusters, nodes, GPUs or blocks: the finest level that it speaks of',
    ],
    [
      `echo '{"variable": "freeMem", "operator": ">=", "value": 16384}' | aios filter - --level gpu`,
      'every GPU, and whether it has 16 GiB free',
    ],
    ['aios filter --variables --level node', 'the names that conditions on nodes may use'],
  ],
  options: (parser) =>
    documentOptions(parser)
      .option('level', {
        choices: levels,
        describe: 'What is tried; one condition alone is about these',
      })
      .option('variables', {
        type: 'boolean',
        describe: 'Lists the names that conditions may use, and asks nobody',
      }),
  async run(args, context) {
    if (args.variables) {
      listVariables(args.level, context);
      return;
    }
    const document = await readDocument(context, namedFile(args));
    const level = args.level ?? levelOf(document);
    const rowsOf = compile(level, document);
    const rows = rowsOf(await context.client.status({ signal: context.signal }));
    const passed = rows.filter(({ passes }) => passes).length;
    const result = { level, total: rows.length, passed, refused: countsOf(rows), candidates: rows };
    context.result(result, () => render(level, rows, context));
  },
});
