import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../support/system.ts';
import { aios } from '../../unit/cli/harness.ts';
import { startTestGateway } from '../../unit/gateway/fakes.ts';
import { block, Plane, tenant } from '../control/plane.ts';

let plane: Plane;
let close: () => Promise<void>;
let run: (...argv: string[]) => Promise<{ code: number; out: string; err: string }>;

async function serve(): Promise<void> {
  const { gateway, url } = await startTestGateway({ controlPlane: plane.api });
  close = () => gateway.close();
  run = (...argv) => aios([...argv, '--url', url]);
}

beforeEach(async () => {
  plane = await new Plane().up();
  await serve();
});
afterEach(async () => {
  await close();
  await plane.remove();
});

const list = async (...argv: string[]) => {
  const { out } = await run('get', 'decisions', '--json', ...argv);
  return JSON.parse(out) as { id: string; reason: string; outcome: string; message: string }[];
};
const running = (id: string, instances: number) =>
  eventually(`block ${id} runs ${instances} times`, async () => {
    const status = await plane.block(id);
    return status.state === 'running' && status.instances.length === instances;
  });

test('a placement, one more instance and a refusal are explained and replayed, also by the next control plane', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  await running('ocr', 1);
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2 }), { replace: true });
  await running('ocr', 2);
  await plane.api.create(tenant, 'block', block('giant', { resources: { memoryBytes: '4Gi' } }));
  await eventually('the refusal is written down', async () =>
    (await list('--outcome', 'refused')).some(({ message }) => message.includes('giant')),
  );

  const check = async () => {
    const decisions = await list();
    const scaled = decisions.find(({ reason }) => reason === 'scale');
    const refused = decisions.find(({ outcome }) => outcome === 'refused');
    const created = decisions.find(
      ({ reason, outcome }) => reason === 'create' && outcome === 'placed',
    );
    for (const decision of [scaled, refused, created]) {
      const replay = await run('replay', decision?.id ?? '');
      expect(replay).toMatchObject({ code: 0, err: '' });
      expect(replay.out).not.toContain('different');
    }
    const { out } = await run('replay', scaled?.id ?? '');
    expect(out).toContain('resourceAllocator.scale');
    expect((await run('explain', 'block', 'giant')).out).toMatch(/refused: free\.memoryBytes >= 4/);
    expect((await run('explain', 'block', 'ocr')).out).toMatch(/chosen/);
    const [instance] = (await plane.block('ocr')).instances;
    expect((await run('explain', 'instance', instance?.id ?? '')).out).toMatch(/chosen/);
    expect((await run('explain', 'cluster', 'home')).out).toContain('placed');
    return decisions.length;
  };
  const before = await check();

  await close();
  await plane.down();
  await plane.up();
  await serve();

  expect(await list('--outcome', 'placed')).not.toEqual([]);
  expect(before).toBeGreaterThanOrEqual(3);
  const replay = await run('replay', (await list('--outcome', 'placed')).at(-1)?.id ?? '');
  expect(replay).toMatchObject({ code: 0, err: '' });
});
