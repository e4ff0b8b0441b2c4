import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../cli/run.ts';
import type { Gateway } from '../../../runtime/index.ts';
import type { PlacementPreview } from '../../../sdk/client/index.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { DecidingPlane } from './deciding.ts';
import { tenant } from './plane.ts';

const gibibyte = 2 ** 30;

let plane: DecidingPlane;
let gateway: Gateway;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
  gateway = await plane.serve();
});
afterEach(async () => {
  await gateway.close();
  await plane.remove();
});

const post = (query: string, document: unknown) =>
  fetch(`${gateway.url}/api/blocks${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(document),
  });
async function aios(line: string, input: unknown) {
  const io = fakeIo({
    env: { AIOS_URL: gateway.url, NO_COLOR: '1' },
    input: JSON.stringify(input),
  });
  const code = await run(line.split(' '), io);
  return { code, out: io.output(), err: io.errors() };
}

test('over HTTP: every place with what it would leave, the chosen first, and nothing is stored', async () => {
  const answer = await post('?preview=true', plane.box('ocr'));
  const preview = (await answer.json()) as PlacementPreview;

  expect(answer.status).toBe(200);
  expect(preview.counts).toEqual({ places: 2, nodes: 2, clusters: 1 });
  expect(preview.places.map(({ nodeId, chosen }) => [nodeId, chosen])).toEqual(
    expect.arrayContaining([
      [preview.decision.plan?.instances[0]?.nodeId, true],
      [expect.any(String), false],
    ]),
  );
  expect(preview.places[0]).toMatchObject({
    ...{ clusterId: 'sim', chosen: true },
    leaves: { memoryBytes: gibibyte - 100 * 2 ** 20, cpuCores: 7.9, gpus: [] },
  });
  expect(preview.decision).toMatchObject({ blockId: 'ocr', outcome: 'dry-run' });
  expect(await plane.api.list(tenant, 'block')).toEqual([]);

  const dryRun = (await (await post('?dryRun=true', plane.box('ocr'))).json()) as object;
  expect(dryRun).not.toHaveProperty('places');
});

test('over HTTP: a document that is wrong is refused with its problem', async () => {
  const answer = await post('?preview=true', { ...plane.box('ocr'), minInstances: -1 });

  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    code: 'SPEC_INVALID',
    problems: [{ path: '$.minInstances' }],
  });
});

test('from the command line: with or without --dry-run, and exit code 5 where there is no place', async () => {
  for (const flags of ['--preview', '--dry-run --preview']) {
    const { code, out } = await aios(`create-block - ${flags}`, plane.box('ocr'));
    expect(code).toBe(0);
    expect(out).toContain('2 places on 2 nodes of 1 clusters');
    expect(out).toMatch(/sim +n[12] .*chosen/);
  }
  const large = plane.box('large', { resources: { memoryBytes: '9Gi', cpuCores: 1 } });
  const nowhere = await aios('create-block - --preview --json', large);
  expect(nowhere.code).toBe(5);
  expect(JSON.parse(nowhere.out)).toMatchObject({
    counts: { places: 0, nodes: 2, clusters: 1 },
    places: [],
    decision: { outcome: 'refused' },
  });
});
