import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  connectInstance,
  emptyFrame,
  type FlowConnection,
  type FlowLink,
  type InstanceServer,
  mintTicket,
  serveInstance,
} from '../../../runtime/dataplane/index.ts';
import { createRandom } from '../../../runtime/policy/random.ts';
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts';

const secret = 'cd'.repeat(32);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

let server: InstanceServer;
let proxy: TcpProxy;
let connection: FlowConnection;
let resumed: { cutMs: number; messages: number }[];
let serverLinks: FlowLink[];
/** Sequences that the server's side got, and those it sent that came back. */
let there: number[];
let back: number[];

beforeEach(async () => {
  [resumed, serverLinks, there, back] = [[], [], [], []];
  server = await serveInstance({
    instanceId: 'server',
    secret,
    handlers: {
      onLink(link) {
        serverLinks.push(link);
        link.onFrame((frame) => {
          there.push(frame.sequence);
          link.grant();
          link.send(frame);
        });
      },
      onAttach() {},
      async *infer() {},
    },
  });
  proxy = await startProxy(server.address);
});
afterEach(async () => {
  connection.close();
  await proxy.close();
  await server.close();
});

async function open(resumeMs?: number): Promise<FlowLink> {
  const peerId = 'client';
  connection = connectInstance({
    ...{ address: proxy.address, peerId, ticket: mintTicket(secret, peerId) },
    onResume: (one) => resumed.push(one),
    ...(resumeMs === undefined ? {} : { resumeMs }),
  });
  const link = await connection.link();
  link.onFrame((frame) => {
    back.push(frame.sequence);
    link.grant();
  });
  return link;
}

const step = (sequence: number, bytes = 2000) => ({
  ...emptyFrame('step'),
  session: `s${sequence % 3}`,
  sequence,
  rows: 1,
  dtype: 'uint8' as const,
  shape: [bytes],
  payload: new Uint8Array(bytes).fill(sequence),
});

describe('a link whose connection is cut', () => {
  it('goes on by number: no frame twice, none missing, whatever was on its way', async () => {
    const link = await open();
    const random = createRandom(7);
    const frames = 400;
    const cuts = new Set(Array.from({ length: 12 }, () => Math.floor(random() * frames)));
    let downs = 0;
    link.onDown(() => (downs += 1));
    for (let sequence = 1; sequence <= frames; sequence += 1) {
      link.send(step(sequence));
      if (cuts.has(sequence)) proxy.cut();
      if (link.queuedFrames > 100) await until(() => link.queuedFrames === 0);
      if (sequence % 5 === 0) await sleep(1);
    }
    await until(() => back.length >= frames);

    const all = Array.from({ length: frames }, (_, index) => index + 1);
    expect(there).toEqual(all);
    expect(back).toEqual(all);
    expect(downs).toBe(0);
    expect(resumed.length).toBeGreaterThan(0);
    expect(serverLinks).toHaveLength(1);
    connection.close();
    await until(() => !serverLinks[0]?.up);
  });

  it('keeps what is sent meanwhile, and CLOSE overtakes it as ever', async () => {
    const link = await open();
    link.send(step(1));
    await until(() => back.length === 1);
    proxy.closed = true;
    proxy.cut();
    await until(() => proxy.connections > 2);
    link.send(step(2));
    expect(link.sendable).toBe(false);
    link.send(step(4));
    link.send(step(5));
    link.send({ ...emptyFrame('close'), session: 's2', sequence: 9 });
    expect(link.up).toBe(true);
    expect(link.queuedFrames).toBe(1);
    proxy.closed = false;

    await until(() => back.length === 4);
    expect(there).toEqual([1, 2, 9, 4]);
    expect(resumed[0]?.messages).toBeGreaterThan(0);
  });

  it('is down for both once the time to come back is over', async () => {
    const link = await open(300);
    proxy.closed = true;
    proxy.cut();
    await Promise.all([until(() => !link.up), until(() => serverLinks[0]?.up === false)]);
    expect(() => link.send(step(1))).toThrow(
      expect.objectContaining({ code: 'SHARD_UNAVAILABLE' }),
    );
    expect(resumed).toEqual([]);

    proxy.closed = false;
    let another: FlowLink | undefined;
    while (!another) another = await connection.link().catch(() => sleep(50).then(() => undefined));
    another.send(step(5));
    await until(() => there.length === 1);
    expect(there).toEqual([5]);
  });

  it('is down at once where nobody listens any more', async () => {
    const link = await open(600_000);
    const errors: Error[] = [];
    link.onDown((error) => errors.push(error));
    await server.close();
    await proxy.close();
    await until(() => errors.length === 1);
    expect(errors).toMatchObject([{ code: 'SHARD_UNAVAILABLE' }]);
  });

  it('is closed for the server at once when its user closes it', async () => {
    const link = await open();
    link.send(step(1));
    await until(() => back.length === 1);
    const errors: Error[] = [];
    serverLinks[0]?.onDown((error) => errors.push(error));
    connection.close();
    await until(() => errors.length === 1);
    expect(errors[0]?.message).toContain('ended the stream');
  });
});
