import { afterEach, expect, it } from 'vitest';
import { differences, golden } from '../support/golden.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

const question = golden.rows[2]!;
const ready = (s: System) =>
  eventually('every block runs', async () => {
    const { blocks } = await s.status();
    return blocks.length > 0 && blocks.every(({ state }) => state === 'running') && blocks;
  });

it('kill -9 of the control plane loses nothing, re-adopts its instances and leaves no stray process', async () => {
  system = await System.start();
  await system.cluster('west', 3, 600 * 2 ** 20);
  const model = await system.model(tinyAssistant, 2);
  const before = await ready(system);

  await system.signal('SIGKILL');
  await system.up();
  const after = await ready(system);

  expect(after.map(({ spec }) => spec)).toEqual(before.map(({ spec }) => spec));
  expect(await differences(system.url, model, question)).toEqual([]);
  const instances = await system.instances();
  expect(
    system
      .processes()
      .map(({ pid }) => pid)
      .sort(),
  ).toEqual(instances.map(({ pid }) => pid!).sort());
  expect(instances.map(({ pid }) => pid).sort()).toEqual(
    before.flatMap((b) => b.instances.map(({ pid }) => pid)).sort(),
  );
  const { clusters } = await system.status();
  const promised = clusters.flatMap(({ nodes }) =>
    nodes.map((n) => n.capacity.memoryBytes - n.free.memoryBytes),
  );
  expect(promised.reduce((a, b) => a + b)).toBe(
    instances.reduce((sum, i) => sum + i.memoryBytes, 0),
  );
});

it('kill -9 of everything comes back whole', async () => {
  system = await System.start();
  await system.cluster('west', 3, 600 * 2 ** 20);
  const model = await system.model(tinyAssistant, 2);

  await system.signal('SIGKILL');
  for (const { pid } of system.processes()) process.kill(pid, 'SIGKILL');
  await system.up();
  await ready(system);

  expect(await differences(system.url, model, question)).toEqual([]);
  expect(system.processes()).toHaveLength(2);
});

it('instances end themselves when no control plane comes back', async () => {
  system = await System.start();
  await system.signal('SIGTERM');
  await system.up('--orphan-timeout', '2s');
  await system.cluster('west', 3, 600 * 2 ** 20);
  await system.model(tinyAssistant, 2);

  await system.signal('SIGKILL');

  await eventually('no instance is left', () => system?.processes().length === 0);
});

it('SIGTERM during an answer ends everything cleanly', async () => {
  system = await System.start();
  await system.cluster('west', 3, 600 * 2 ** 20);
  const model = await system.model(tinyAssistant, 2);
  const answer = fetch(`${system.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: question.messages, ignore_eos: true }),
  }).then(
    (r) => r.status,
    () => 0,
  );

  const exitCode = await system.signal('SIGTERM');

  await answer;
  expect(exitCode).toBe(0);
  expect(system.processes()).toEqual([]);
});

it('a second control plane on the same data directory is refused, and the first goes on', async () => {
  system = await System.start();
  const second = await system.aios(
    'up',
    '--port',
    '0',
    '--data-dir',
    system.dataDirectory,
    '--json',
  );

  expect(second.exitCode).toBe(8);
  expect(second.err).toMatch(/STORE_LOCKED/);
  expect((await fetch(`${system.url}/healthz`)).status).toBe(200);
});
