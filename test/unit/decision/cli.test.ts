import { afterEach, expect, it } from 'vitest';
import { openDecisionServices } from '../../../runtime/decision/index.ts';
import { createPlacement } from '../../../runtime/placement/index.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { clusterView, gibibyte, nodesOf, request } from '../../support/clusters.ts';
import { aios } from '../cli/harness.ts';
import { fakeControlPlane, startTestGateway } from '../gateway/fakes.ts';
import { ask, decide, openBench } from './support.ts';

const lastNode = definePolicy({
  hook: 'resourceAllocator',
  name: 'last-node',
  version: '1.0.0',
  description: 'For a test.',
  evaluate: ({ instances, nodes }) => ({
    score: 0.5,
    assignments: Array.from({ length: instances }, () => ({ nodeId: nodes.at(-1)?.id ?? '' })),
  }),
});

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A gateway over a real policy host, log and placement; `run` is the command line. */
async function open(nodeCount = 150) {
  const bench = await openBench({ extra: [lastNode] });
  const decisions = await openDecisionServices(bench.store, bench.log, bench.host);
  const explain = (tenant: string, id: string) => bench.log.ofBlock(tenant, id);
  const controlPlane = fakeControlPlane({ decisions, explain });
  const { gateway, url } = await startTestGateway({ controlPlane });
  closing.push(
    () => bench.close(),
    () => decisions.close(),
    () => gateway.close(),
  );
  const sizes = Array.from({ length: nodeCount }, (_, at) => ((at % 7) + 1) * gibibyte);
  const view = clusterView({ id: 'home', nodes: nodesOf(...sizes) });
  const placement = createPlacement({
    host: bench.host,
    inventory: () => ({ clusters: [view], revision: 1 }),
  });
  placement.ledgerOf('default').setCluster(view.spec);
  const place = async (memoryBytes: number) => {
    const asked = request('ocr', { memoryBytes, cpuCores: 1 });
    const { decision } = await placement.place(asked, { reserve: true });
    return bench.log.record(decision);
  };
  const run = (...argv: string[]) => aios([...argv, '--url', url]);
  return { ...bench, decisions, place, run };
}

it('a placement is explained with every candidate of many, and replayed to the same end', async () => {
  const { place, run, log } = await open();
  const { id, plan, candidateCounts } = await place(4 * gibibyte);

  const brief = await run('explain', 'block', 'ocr');
  const all = await run('explain', 'block', 'ocr', '--all', '--json');
  const replay = await run('replay', id);

  expect(brief.out).toContain('--all recomputes the others');
  const [shown] = JSON.parse(all.out);
  const rows = shown.candidates as { nodeId?: string; refusedBy?: string; chosen: boolean }[];
  const nodes = rows.filter(({ nodeId }) => nodeId !== undefined);
  expect(nodes).toHaveLength(150);
  expect(nodes.filter(({ chosen }) => chosen).map(({ nodeId }) => nodeId)).toEqual(
    plan?.instances.map(({ nodeId }) => nodeId),
  );
  for (const { refusedBy, count } of candidateCounts?.refused ?? []) {
    expect(nodes.filter((row) => row.refusedBy === refusedBy)).toHaveLength(count);
  }
  expect(nodes.every((row) => row.refusedBy !== undefined || 'score' in row)).toBe(true);
  expect(replay).toMatchObject({ code: 0, err: '' });
  expect(replay.out).toMatch(/clusterAllocator\.post_dry_run .*same/);
  expect(replay.out).toMatch(/went to {3}home: (n\d+) .*\nwould go {2}home: \1 /);
  expect(await log.list('default')).toHaveLength(1);
});

it('a placement with another policy shows where it would go', async () => {
  const { place, run } = await open(12);
  const { id, plan } = await place(gibibyte);

  const replay = await run('replay', id, '--with', 'last-node:1.0.0-stable', '--json');
  const shown = await run('replay', id, '--with', 'last-node:1.0.0-stable');

  const { place: where, evaluations, same } = JSON.parse(replay.out);
  expect(replay.code).toBe(9);
  expect(same).toBe(false);
  expect(where.recorded.nodeIds).toEqual(plan?.instances.map(({ nodeId }) => nodeId));
  expect(where.replayed.nodeIds).not.toEqual(where.recorded.nodeIds);
  expect(evaluations[0].differences.map(({ path }: { path: string }) => path)).toContain(
    '$.assignments[0].nodeId',
  );
  expect(shown.out).toMatch(/bin-pack:1\.0\.0-stable .*last-node:1\.0\.0-stable .*different/);
});

it('a refusal is explained and replayed', async () => {
  const { place, run } = await open(3);
  const { id } = await place(64 * gibibyte);

  const explained = await run('explain', 'decision', id);
  const listed = await run('get', 'decisions', '--outcome', 'refused');
  const replay = await run('replay', id);

  expect(explained.out).toMatch(/n1 .*refused: free\.memoryBytes >= 64\.0 GiB; saw 1\.0 GiB/);
  expect(listed.out).toMatch(new RegExp(`placement .*block/ocr .*refused .*${id}`));
  expect(replay).toMatchObject({ code: 0 });
});

it('a scale decision is explained and replayed, exactly and with other parameters', async () => {
  const { host, log, run } = await open(1);
  const question = {
    ...({
      hook: 'autoscaler',
      action: 'evaluate',
      uri: 'target-utilization:1.0.0-stable',
    } as const),
    input: exampleInputs.autoscaler.evaluate,
  };
  const id = decide(log, await ask(host, question));

  const explained = await run('explain', 'scaling', 'b');
  const replay = await run('replay', id);
  const other = await run('replay', id, '--with', 'hold:1.0.0-stable');

  expect(explained.code).toBe(0);
  expect(explained.out).toContain('target-utilization:1.0.0-stable answered {"instances"');
  expect(replay.code).toBe(0);
  expect(replay.out).toMatch(/autoscaler\.evaluate .*same/);
  expect(other.code).toBe(9);
  expect(other.out).toMatch(/\$\.instances/);
});

it('a shadow is set, reports, and is taken off', async () => {
  const { host, decisions, run } = await open(1);

  const set = await run('shadow', 'loadBalancer', 'round-robin:1.0.0-stable');
  for (let at = 0; at < 4; at += 1) {
    await ask(host, { hook: 'loadBalancer', action: 'load_balance' });
  }
  await decisions.shadows.idle();
  const report = await run('shadow');
  const off = await run('shadow', '--off', 'loadBalancer');

  expect(set.code).toBe(0);
  expect(report.out).toMatch(/loadBalancer .*round-robin:1\.0\.0-stable .* 4 /);
  expect(off.code).toBe(0);
  expect((await run('shadow')).out).toContain('no policy is tried');
});

it.each([
  [['replay', 'nothing'], 3, /is not kept/],
  [['explain', 'scaling', 'nothing'], 3, /no decision about scaling 'nothing'/],
  [['get', 'decision', 'nothing'], 3, /is not kept/],
  [['replay', 'x', '--parameters', '[1]'], 2, /--parameters must be a JSON object/],
  [['replay', 'x', '--parameters', '{'], 2, /is not JSON/],
  [['shadow', '--off', 'loadBalancer'], 3, /no policy is tried/],
  [['shadow', 'nothing', 'round-robin:1.0.0-stable'], 2, /there is no hook 'nothing'/],
  [['shadow', 'autoscaler', 'bin-pack:1.0.0-stable'], 2, /another hook/],
  [['get', 'decisions', '--limit', '0'], 2, /--limit/],
])('%j says what to change', async (argv, code, message) => {
  const { run } = await open(1);

  const outcome = await run(...argv);

  expect(outcome.err).toMatch(message);
  expect(outcome.code).toBe(code);
});
