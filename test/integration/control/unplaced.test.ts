import { afterEach, beforeEach, expect, test } from 'vitest';
import { pickShards } from '../../../runtime/vdag/shard-chain.ts';
import { eventually } from '../../support/system.ts';
import { block, node, Plane, tenant } from './plane.ts';

let plane: Plane;
beforeEach(async () => {
  plane = await new Plane().up();
  await plane.declare();
});
afterEach(() => plane.remove());

/** Longer than a test may take: whoever gets an answer did not wait for it. */
const waitMs = 10 * 60_000;
const asking = () => ({ tenant, sessionId: 's', waitMs, signal: AbortSignal.timeout(waitMs) });
const huge = block('huge', { resources: { memoryBytes: '100Gi', cpuCores: 1 } });

test('who asks for a block that no node can hold is told why at once, also where another is starting', async () => {
  await plane.api.create(tenant, 'block', huge);

  // At first nobody knows yet that there is no place: it is waited for the decision, and no longer.
  const error = await plane.api.directory
    .pick({ ...asking(), blockId: 'huge' })
    .catch((fault: unknown) => fault);
  const { reason, decisionId } = await plane.block('huge');
  expect(error).toMatchObject({
    code: 'SHARD_UNAVAILABLE',
    retryable: false,
    message: expect.stringContaining('See: aios explain block huge'),
    details: { blockId: 'huge', decisionId },
  });
  expect(String(error)).toContain(reason?.replace(/\.$/, ''));

  await plane.api.create(tenant, 'component', await plane.component('test.slow:1.0.0-stable'));
  await plane.api.create(
    tenant,
    'block',
    block('other', { componentUri: 'test.slow:1.0.0-stable' }),
  );
  const together = pickShards(plane.api.directory, ['other', 'huge'], asking());
  await expect(together).rejects.toMatchObject({ details: { blockId: 'huge' } });
  const { instances } = await plane.block('other');
  expect(instances.map(({ outstandingRequests }) => outstandingRequests)).not.toContain(1);
});

test('who asks again once there is room gets an instance', async () => {
  await plane.api.create(tenant, 'block', huge);
  await expect(plane.api.directory.pick({ ...asking(), blockId: 'huge' })).rejects.toThrow(
    'runs nowhere',
  );

  const nodes = [node('n1'), node('n2'), node('n3', '200Gi')];
  await plane.api.create(tenant, 'cluster', { id: 'home', nodes }, { replace: true });

  const routed = await plane.api.directory.pick({ ...asking(), blockId: 'huge' });
  expect(routed.nodeId).toBe('n3');
});

test('a block that starts, or ran until a moment ago, is waited for', async () => {
  await plane.api.create(tenant, 'block', block('ocr'));
  const first = await plane.api.directory.pick({ ...asking(), blockId: 'ocr' });
  const { pid } = (await plane.block('ocr')).instances[0] ?? {};
  // Its place is lost as it dies.
  for (const { id } of [node('n1'), node('n2')]) {
    await plane.api.control?.cordon(tenant, 'home', id, { reason: 'a test' });
  }
  process.kill(Number(pid), 'SIGKILL');
  await eventually('it is refused', async () => {
    const { state, instances, reason } = await plane.block('ocr');
    return state === 'pending' && instances.length === 0 && reason;
  });

  const next = plane.api.directory.pick({ ...asking(), blockId: 'ocr' });
  await plane.api.control?.uncordon(tenant, 'home', 'n1');

  expect((await next).instanceId).not.toBe(first.instanceId);
});
