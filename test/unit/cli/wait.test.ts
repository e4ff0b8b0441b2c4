import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/run.ts';
import { aios, type FakeServer, fakeIo, json, serve } from './harness.ts';

let server: FakeServer | undefined;
afterEach(() => server?.close());

const refused = {
  spec: { id: 'ocr', minInstances: 1 },
  revision: 1,
  state: 'pending',
  instances: [],
  reason: 'no node has 8.0 GiB free',
};

const start = async () => {
  server = await serve({
    'POST /api/blocks': json(
      {
        kind: 'block',
        id: 'ocr',
        revision: 1,
        spec: {},
        warnings: [{ path: '$.tags', message: 'is an old key' }],
      },
      201,
    ),
    'GET /api/blocks/ocr': json(refused),
  });
  return ['create-block', '-f', '-', '--wait', '--url', server.url];
};

describe('waiting for a block that is refused', () => {
  it('says why at once, and once, and fails when the time is up', async () => {
    const argv = [...(await start()), '--timeout', '500ms'];

    const { code, err } = await aios(argv, { input: '{}' });

    expect(code).toBe(6);
    expect(err).toContain('$.tags: is an old key');
    const [told, failure] = err.split('DEADLINE_EXCEEDED');
    expect(told?.match(/ocr is pending: no node has 8\.0 GiB free/g)).toHaveLength(1);
    expect(failure).toContain('no node has 8.0 GiB free');
  });

  it('ends at Ctrl-C', async () => {
    const io = fakeIo({ input: '{}' });
    const running = run(await start(), io);
    while (!io.errors().includes('no node has')) await new Promise((wake) => setTimeout(wake, 5));

    io.signal('SIGINT');

    expect(await running).toBe(130);
  });
});
