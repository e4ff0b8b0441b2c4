import { expect, it } from 'vitest';
import { rememberNodes } from '../../../runtime/model/preferred-nodes.ts';
import { isSameDocument } from '../../../runtime/registry/same-document.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';
import { clusterView, gibibyte, request, testPlacement } from '../../support/clusters.ts';

const outline = {
  ...{ name: 'm', architecture: 'a', contextTokens: 8, layers: [] },
  ...{ embeddingBytes: 0, headBytes: 0, overheadBytes: 0 },
};
const blocks = [{ id: 'm-0' }, { id: 'm-1' }] as unknown as SplitPlan['blocks'];
const planOf = { blocks } as unknown as SplitPlan;

async function meant(nodes: string[]) {
  const remembered = rememberNodes(async () => ({ firstLayers: [0, 1], nodes }), 'mine:1-stable');
  await remembered.ask(outline);
  return remembered.apply(planOf).blocks;
}

it('a plan’s blocks say where the planner meant them to run', async () => {
  const [first, second] = await meant(['c/n1', 'c/n2']);
  expect(first?.placement?.nodeAffinity?.preferred[0]?.reason).toBe(
    "'mine:1-stable' meant shard 0 for c/n1",
  );
  expect(JSON.stringify(second?.placement)).toContain('"value":"n2"');
  expect(await meant([])).toEqual(blocks);
});

it('a block that is only meant for another node is the same block', async () => {
  const [here] = await meant(['c/n1', 'c/n2']);
  const [there] = await meant(['c/n3', 'c/n2']);
  expect(isSameDocument('block', here, there)).toBe(true);
  expect(isSameDocument('block', here, blocks[0])).toBe(true);
  expect(isSameDocument('block', here, blocks[1])).toBe(false);
  const rules = { affinity: [], antiAffinity: [], tolerations: [{ key: 'a' }] };
  expect(isSameDocument('block', here, { ...blocks[0], placement: rules })).toBe(false);
});

it('a decision tells whether a preference was met, and why it was there', async () => {
  const nodes = ['n1', 'n2'].map((id) => ({ id, memoryBytes: 4 * gibibyte, cpuCores: 4 }));
  const placement = testPlacement([clusterView({ id: 'c', nodes })]);
  const [, second] = await meant(['c/n1', 'c/n2']);
  const asked = request('m-1', { memoryBytes: 3 * gibibyte, cpuCores: 1, gpus: [] });
  const rules = second?.placement;
  const block = { ...asked.block, ...(rules ? { placement: rules } : {}) };
  const reserve = (id = 'm-1-0') =>
    placement.place({ ...asked, block, instanceIds: [id] }, { reserve: true });

  const reason = "'mine:1-stable' meant shard 1 for c/n2";
  expect((await reserve()).decision.message).toContain(`As preferred: ${reason}.`);
  // Its node is full now.
  expect((await reserve('m-1-1')).decision.message).toContain(
    `Elsewhere than preferred: ${reason}.`,
  );
});
