import { describe, expect, it } from 'vitest';
import costAware from '../../../policies/resource-allocator/cost-aware.ts';
import cpuOnly from '../../../policies/resource-allocator/cpu-only-scheduler.ts';
import dataLocality from '../../../policies/resource-allocator/data-locality.ts';
import gpuFragmentation from '../../../policies/resource-allocator/gpu-fragmentation-aware.ts';
import multiGpu from '../../../policies/resource-allocator/multi-gpu-llm.ts';
import topologyAware from '../../../policies/resource-allocator/topology-aware.ts';
import yolo from '../../../policies/resource-allocator/yolo-gpu-scheduler.ts';
import { ask } from './ask.ts';
import { type DryRun, device, dryRunOn, node, shares } from './snapshots.ts';

type Question = Parameters<typeof dryRunOn>;
type Options = NonNullable<Parameters<typeof ask>[2]>;
const placed = (
  policy: Parameters<typeof ask>[0],
  nodes: Question[0],
  more: Question[1] = {},
  options: Options = {},
): readonly string[] =>
  ask<DryRun>(policy, dryRunOn(nodes, more), options).assignments.map(({ nodeId }) => nodeId);

describe('topology-aware', () => {
  const inZone = (id: string, zone: string | undefined, free = 16) =>
    node(id, { free, metadata: zone === undefined ? {} : { zone } });

  it('counts a whole zone, not a node: the second instance goes to the zone with less room', () => {
    const nodes = [inZone('a1', 'a'), inZone('a2', 'a'), inZone('b1', 'b', 8)];

    expect(placed(topologyAware, nodes, { instances: 3 })).toEqual(['a1', 'b1', 'a2']);
  });

  it('counts instances on nodes that are full already', () => {
    const nodes = [inZone('a1', 'a'), inZone('b1', 'b', 4)];
    const others = [inZone('a9', 'a', 0)];

    expect(placed(topologyAware, nodes, { held: ['a9'], others })).toEqual(['b1']);
  });

  it('keeps the spread even over many instances, whatever is free', () => {
    const nodes = [inZone('a1', 'a', 16), inZone('b1', 'b', 9), inZone('c1', 'c', 8)];
    const counts = new Map<string, number>();
    for (const id of placed(topologyAware, nodes, { instances: 24 })) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }

    expect([...counts.values()]).toEqual([8, 8, 8]);
  });

  it('packs into the zone with the most room, and stays there', () => {
    const nodes = [inZone('a1', 'a', 3), inZone('b1', 'b', 2), inZone('b2', 'b', 2)];
    const settings = { arrangement: 'pack' };

    expect(placed(topologyAware, nodes, { instances: 4 }, { settings })).toEqual([
      ...['b1', 'b1', 'b2', 'b2'],
    ]);
  });

  it('takes a node without the key for a zone of its own, and other keys', () => {
    const nodes = [inZone('n1', undefined), inZone('n2', undefined), inZone('n3', 'n1')];
    expect(placed(topologyAware, nodes, { instances: 3 })).toEqual(['n1', 'n2', 'n3']);

    const racks = ['x', 'x', 'y'].map((rack, at) => node(`r${at}`, { metadata: { rack } }));
    const parameters = { topology_key: 'rack' };
    expect(placed(topologyAware, racks, { instances: 2 }, { parameters })).toEqual(['r0', 'r2']);
  });
});

describe('cost-aware', () => {
  const costs = (id: string, costPerHour: unknown, free = 16) =>
    node(id, { free, metadata: costPerHour === undefined ? {} : { costPerHour } });

  it('takes the cheapest however full the others are, also beside a node of unknown cost', () => {
    const nodes = [costs('dear', 30, 4), costs('cheap', '29.99'), costs('unknown', undefined, 1)];

    expect(placed(costAware, nodes)).toEqual(['cheap']);
    expect(
      placed(
        costAware,
        nodes.filter(({ id }) => id !== 'cheap'),
      ),
    ).toEqual(['dear']);
  });

  it('takes the fullest among equals', () => {
    expect(placed(costAware, [costs('empty', 1), costs('full', 1, 4)])).toEqual(['full']);
  });

  it('finds no bargain in what is no number', () => {
    for (const odd of ['', ' ', null, [], true, -1, 'NaN', Number.POSITIVE_INFINITY]) {
      expect(placed(costAware, [costs('odd', odd), costs('plain', 9)])).toEqual(['plain']);
    }
  });

  it('scores a cheap cluster above a dear one', () => {
    const score = (cost: number) => ask<DryRun>(costAware, dryRunOn([costs('n', cost)])).score;

    expect(score(1)).toBeGreaterThan(score(2));
  });
});

describe('data-locality', () => {
  const nodes = [
    node('empty'),
    node('one', { free: 2, metadata: { data: 'imagenet' } }),
    node('two', { free: 2, metadata: { data: ['imagenet'] }, tags: ['laion'] }),
  ];

  it('takes the node that holds most of what the parameters name, or else the tags', () => {
    const parameters = { data: ['imagenet', 'laion'] };
    expect(placed(dataLocality, nodes, {}, { parameters })).toEqual(['two']);
    expect(placed(dataLocality, nodes, { tags: ['laion'] })).toEqual(['two']);
    expect(placed(dataLocality, nodes, { tags: ['imagenet'] })).toEqual(['one']);
  });

  it('takes the emptiest where nobody holds anything', () => {
    expect(placed(dataLocality, nodes, { tags: ['constructor'] })).toEqual(['empty']);
    expect(placed(dataLocality, nodes)).toEqual(['empty']);
  });
});

describe('gpu-fragmentation-aware', () => {
  const shared = device(0, { sharedBy: 1, freeMemoryBytes: 12 });

  it('uses what is shared already before it breaks up a device', () => {
    const nodes = [
      node('whole', { gpus: [device(0), device(1)] }),
      node('mixed', { gpus: [shared, device(1)] }),
    ];

    expect(placed(gpuFragmentation, nodes, { resources: { gpus: shares(8) } })).toEqual(['mixed']);
  });

  it('breaks up a machine that has fewer whole ones left, and fits tightly', () => {
    const nodes = [
      node('eight', { gpus: Array.from({ length: 8 }, (_, at) => device(at)) }),
      node('one', { gpus: [device(0), device(1, { exclusive: true, freeMemoryBytes: 0 })] }),
    ];
    expect(placed(gpuFragmentation, nodes, { resources: { gpus: shares(8) } })).toEqual(['one']);

    const loose = node('loose', { gpus: [device(0, { sharedBy: 1, freeMemoryBytes: 20 })] });
    const tight = node('tight', { gpus: [shared] });
    expect(placed(gpuFragmentation, [loose, tight], { resources: { gpus: shares(8) } })).toEqual([
      'tight',
    ]);
  });

  it('keeps blocks without devices off machines that have some', () => {
    expect(placed(gpuFragmentation, [node('gpu', { gpus: [device(0)] }), node('plain')])).toEqual([
      'plain',
    ]);
  });
});

describe("AIOS's allocators", () => {
  const idle = node('idle', { free: 12, load15m: 0 });
  const busy = node('busy', { free: 14, load15m: 8 });
  const full = node('full', { free: 2, load15m: 1 });
  const by = (selection_mode: string) =>
    placed(cpuOnly, [idle, busy, full], {}, { settings: { selection_mode } });

  it('choose as selection_mode says', () => {
    expect(by('greedy')).toEqual(['full']);
    expect(by('balanced')).toEqual(['idle']);
    expect(by('lightest-load')).toEqual(['idle']);
    expect(placed(cpuOnly, [busy, full], {}, { settings: { selection_mode: 'balanced' } })).toEqual(
      ['busy'],
    );
    expect(cpuOnly.settings.safeParse({ selection_mode: 'random' }).success).toBe(false);
  });

  it('cpu-only-scheduler asks for cores and memory, and does not care about devices', () => {
    const parameters = { cpus: '2', min_memory_mb: 2048 };
    const mebibyte = 2 ** 20;
    const nodes = [
      node('small', { memory: 1024 * mebibyte }),
      node('cores', { memory: 4096 * mebibyte, cores: 1 }),
      node('right', {
        ...{ memory: 4096 * mebibyte, load15m: 0 },
        gpus: [device(0, { utilizationFraction: 1 })],
      }),
      node('worse', { memory: 4096 * mebibyte, load15m: 1 }),
    ];

    const { assignments, nodes: refused } = ask<DryRun>(cpuOnly, dryRunOn(nodes), { parameters });
    expect(assignments.map(({ nodeId }) => nodeId)).toEqual(['right']);
    expect(refused).toMatchObject([
      { nodeId: 'small', refusedBy: 'min_memory_mb: 2048' },
      { nodeId: 'cores', refusedBy: 'cpus: 2', seen: '1' },
    ]);
  });

  it('multi-gpu-llm passes over devices that are busy or full, and takes several of one node', () => {
    const bytes = 24 * 2 ** 30;
    const free = { totalMemoryBytes: bytes, freeMemoryBytes: bytes };
    const busyDevice = { ...free, utilizationFraction: 0.95 };
    const nodes = [
      node('busy', { gpus: [device(0, free), device(1, free), device(2, busyDevice)] }),
      node('idle', {
        gpus: [device(0, busyDevice), device(1, free), device(2, free), device(3, free)],
      }),
    ];
    const parameters = { gpus: 3, max_gpu_utilization: 0.9, min_gpu_free_memory: 16000 };
    const resources = { gpus: shares(1, 1, 1) };

    const { assignments } = ask<DryRun>(multiGpu, dryRunOn(nodes, { resources }), { parameters });
    expect(assignments.map(({ nodeId }) => nodeId)).toEqual(['idle']);
    expect([...(assignments[0]?.gpus ?? [])].sort()).toEqual([1, 2, 3]);
  });

  it('yolo-gpu-scheduler fills one node before the next', () => {
    const nodes = ['n1', 'n2'].map((id) => node(id, { gpus: [device(0), device(1)] }));
    const resources = { gpus: [{ memoryBytes: 5, exclusive: true }] };

    expect(placed(yolo, nodes, { resources, instances: 3 })).toEqual(['n1', 'n1', 'n2']);
  });
});
