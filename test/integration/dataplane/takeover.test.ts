import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../../../runtime/dataplane/frame-codec.ts';
import {
  emptyFrame,
  type InstanceServer,
  mintTicket,
  serveInstance,
} from '../../../runtime/dataplane/index.ts';
import { instanceService, metadataKeys } from '../../../runtime/dataplane/service.ts';

const secret = 'cd'.repeat(32);
const { exchange } = instanceService();
const hello = (peerId: string) =>
  encodeFrame({
    ...emptyFrame('hello'),
    payload: Buffer.from(
      JSON.stringify({ version: 1, peerId, credit: 64, maxFrameBytes: 4 * 2 ** 20 }),
    ),
  });

let server: InstanceServer;
let client: Client;
let downs: string[];
let links: number;

beforeEach(async () => {
  [downs, links] = [[], 0];
  server = await serveInstance({
    instanceId: 'server',
    secret,
    handlers: {
      onLink(link) {
        links += 1;
        link.onDown(() => downs.push(link.peerId));
      },
      onAttach() {},
      async *infer() {},
    },
  });
  client = new Client(server.address, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await server.close();
});

interface RawCall {
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  /** The server's HELLO, or its consent to go on, came. */
  readonly begun: Promise<void>;
  /** What the call ended with. */
  readonly ended: Promise<string>;
}

/** A call as any client could make it. */
function call(peerId: string, link: string, goOn?: { attempt: number }): RawCall {
  const metadata = new Metadata();
  metadata.set(metadataKeys.peer, peerId);
  metadata.set(metadataKeys.ticket, mintTicket(secret, peerId));
  metadata.set(metadataKeys.link, link);
  if (goOn) {
    metadata.set(metadataKeys.received, '1');
    metadata.set(metadataKeys.attempt, String(goOn.attempt));
  }
  const { path, requestSerialize, responseDeserialize } = exchange;
  const stream = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  const ended = new Promise<string>((resolve) => {
    stream.on('status', ({ details }) => resolve(details));
    stream.on('error', ({ message }) => resolve(message));
  });
  const begun = new Promise<void>((resolve) => {
    if (goOn) stream.on('metadata', (said) => said.get(metadataKeys.received)[0] && resolve());
    else stream.on('data', () => resolve());
  });
  if (!goOn) stream.write(hello(peerId));
  else stream.resume();
  return { stream, begun, ended };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a call that goes on with a link', () => {
  it('ends the one before with a status, and is not replaced by an older attempt', async () => {
    const first = call('peer', 'l');
    await first.begun;
    const third = call('peer', 'l', { attempt: 3 });
    await third.begun;
    expect(await first.ended).toContain('went on over another connection');
    const second = call('peer', 'l', { attempt: 2 });
    expect(await second.ended).toContain('went on over another connection');
    const nonsense = call('peer', 'l', { attempt: Number.NaN });
    expect(await nonsense.ended).toContain('went on over another connection');
    const fourth = call('peer', 'l', { attempt: 4 });
    await fourth.begun;
    expect(await third.ended).toContain('went on over another connection');
    expect(downs).toEqual([]);
    fourth.stream.cancel();
  });

  it('finds its link though another peer had more cut than are held, whose oldest calls are ended', async () => {
    const victim = call('victim', 'v');
    await victim.begun;
    victim.stream.end();
    const many = Array.from({ length: 70 }, (_, index) => call('greedy', `m${index}`));
    await Promise.all(many.map(({ begun }) => begun));
    await until(() => links === 71);
    for (const { stream } of many) stream.end();

    const ends = await Promise.all(many.slice(0, 62).map(({ ended }) => ended));
    expect(new Set(ends).size).toBe(1);
    expect(ends[0]).toContain('does not hold this link any more');
    expect(downs).toEqual(Array.from({ length: 62 }, () => 'greedy'));
    const back = call('victim', 'v', { attempt: 1 });
    await back.begun;
    back.stream.cancel();
    for (const { stream } of many) stream.cancel();
  });
});
