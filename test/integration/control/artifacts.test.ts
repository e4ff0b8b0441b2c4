import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../../../runtime/index.ts';
import { connect } from '../../../sdk/client/index.ts';
import { aios } from '../../unit/cli/harness.ts';
import { echoRunner, FakeDriver } from '../../unit/gateway/fakes.ts';
import { block, componentUri, hashOf, Plane } from './plane.ts';

let plane: Plane;
let gateway: Gateway;
beforeEach(async () => {
  plane = await new Plane().up();
  gateway = await plane.serve();
});
afterEach(async () => {
  await gateway.close();
  await plane.remove();
});

/** What was asked for lately is forgotten with the process. */
async function restart(): Promise<void> {
  await gateway.close();
  await plane.down();
  await plane.up();
  gateway = await plane.serve();
}
const blobs = (): readonly string[] => readdirSync(join(plane.dataDirectory, 'artifacts/sha256'));
const call = (...argv: string[]) => aios([...argv, '--url', gateway.url]);

test('what a deleted component was made of goes, what one that stays is made of does not', async () => {
  await plane.declare();
  const weights = Buffer.from('weights of a model that was deleted');
  await connect(gateway.url).uploadArtifact(hashOf(weights), weights);
  await plane.api.create('default', 'block', block('kept'));
  await restart();

  const usage = await connect(gateway.url).artifactUsage();
  expect(usage.stored.artifacts).toBe(2);
  expect(usage.unmentioned).toMatchObject({ artifacts: 1, sizeBytes: weights.byteLength });
  expect((await call('artifacts')).out).toMatch(/nothing refers to +1 +35 B +0 B/);

  const young = await call('artifacts', 'prune', '--json');
  expect(JSON.parse(young.out)).toMatchObject({
    removed: { artifacts: 0 },
    recent: { artifacts: 1 },
  });
  expect((await call('artifacts', 'prune', '--older-than', '0s', '--dry-run')).out).toMatch(
    /would be removed +1 /,
  );
  expect(blobs()).toHaveLength(2);

  const pruned = await call('artifacts', 'prune', '--older-than', '0s');
  expect(pruned).toMatchObject({ code: 0, err: '' });
  expect(pruned.out).toMatch(/removed +1 +35 B/);
  expect(blobs()).toHaveLength(1);
  expect(await connect(gateway.url).hasArtifact(hashOf(weights))).toBe(false);

  await plane.api.delete('default', 'block', 'kept');
  await plane.api.delete('default', 'component', componentUri);
  await restart();
  const last = JSON.parse((await call('artifacts', 'prune', '--older-than', '0s', '--json')).out);
  expect(last).toMatchObject({ removed: { artifacts: 1 }, inHistoryOnly: 0 });
  expect(blobs()).toEqual([]);
});

test('the help shows both commands, with an example of each', async () => {
  const both = await call('artifacts', '--help');
  expect(both).toMatchObject({ code: 0, err: '' });
  expect(both.out).toContain('aios artifacts prune');
  expect((await call('artifacts', 'prune', '--help')).out).toContain(
    'aios artifacts prune --older-than 1d',
  );
});

test('a wrong age, a wrong word and a missing key are refused', async () => {
  expect(await call('artifacts', 'prune', '--older-than', 'soon')).toMatchObject({ code: 2 });
  expect(await call('artifacts', 'prone')).toMatchObject({ code: 2 });
  const wrong = await fetch(`${gateway.url}/api/artifacts/prune`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"olderThanMs": -1, "all": true}',
  });
  expect(wrong.status).toBe(400);

  const guarded = await startGateway({
    ...{ controlPlane: plane.api, driver: new FakeDriver(), runner: echoRunner },
    ...{ apiKeys: ['secret'], log: () => undefined },
  });
  try {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/prune'],
    ] as const) {
      const answer = await fetch(`${guarded.url}/api/artifacts${path}`, { method });
      expect(answer.status).toBe(401);
    }
  } finally {
    await guarded.close();
  }
});
