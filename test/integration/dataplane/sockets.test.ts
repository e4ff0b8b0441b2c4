import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connectInstance,
  decodeFrame,
  emptyFrame,
  encodeFrame,
  type FlowLink,
  type Frame,
  type InstanceServer,
  jsonBytes,
  mintTicket,
  serveInstance,
} from '../../../runtime/dataplane/index.ts';
import { instanceService } from '../../../runtime/dataplane/service.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { frameMessage } from '../../unit/dataplane/reference-codec.ts';

const secret = 'ab'.repeat(32);
const protoPath = new URL('../../../proto/dataplane.proto', import.meta.url).pathname;
const settle = () => new Promise((resolve) => setTimeout(resolve, 50));

/** A peer that writes whatever bytes it likes into its stream. */
function rawPeer(address: string) {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  });
  const metadata = new Metadata();
  metadata.set('aios-peer', 'raw');
  metadata.set('aios-ticket', mintTicket(secret, 'raw'));
  const { exchange } = instanceService();
  const call = client.makeBidiStreamRequest(
    exchange.path,
    exchange.requestSerialize,
    exchange.responseDeserialize,
    metadata,
  );
  const frames: Frame[] = [];
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    call.on('status', resolve);
  });
  call.on('data', (message: Buffer) => frames.push(decodeFrame(message).frame));
  call.on('error', () => {});
  const hello = { version: 1, peerId: 'raw', credit: 64, maxFrameBytes: 1 << 22 };
  return {
    frames,
    ended,
    hello: () => call.write(encodeFrame({ ...emptyFrame('hello'), payload: jsonBytes(hello) })),
    write: (bytes: Uint8Array) => call.write(Buffer.from(bytes)),
    end: () => call.end(),
    close: () => client.close(),
  };
}

describe('instances over real sockets', () => {
  let server: InstanceServer;
  let serverLinks: FlowLink[] = [];
  /** What the server's side got. */
  let got: Frame[] = [];

  beforeAll(async () => {
    server = await serveInstance({
      instanceId: 'server',
      secret,
      handlers: {
        onLink: (link) => {
          serverLinks.push(link);
          link.onFrame((frame) => {
            got.push(frame);
            link.grant();
            if (frame.type === 'step') link.send(frame);
          });
        },
        onAttach: () => {},
        async *infer({ packet }) {
          if (packet.data === 'fail') {
            throw new AiosError('NO_CANDIDATE', 'größer als jeder Knoten', {
              details: { node: 'n1' },
            });
          }
          if (packet.data === 'fail at length') {
            const problems = Array.from({ length: 500 }, (_, index) => ({
              path: `$.nodes[${index}]`,
              message: 'is wrong in a way that takes a while to explain',
            }));
            throw new AiosError('SPEC_INVALID', 'x'.repeat(5000), { problems });
          }
          yield { final: false, packet: { ...packet, data: 1 } };
          yield { final: true, packet };
        },
      },
    });
  });
  afterAll(() => server.close());

  const connect = () =>
    connectInstance({
      address: server.address,
      peerId: 'client',
      ticket: mintTicket(secret, 'client'),
    });

  it('hands tensors of every size over without copying them, both ways', async () => {
    serverLinks = [];
    got = [];
    const connection = connect();
    const link = await connection.link();
    const echoes: Frame[] = [];
    link.onFrame((frame) => {
      echoes.push(frame);
      link.grant();
    });
    const sizes = [1, 2, 3, 7, 16, 31, 1000, 1018, 1019, 1020, 1021, 1024, 2048, 4000, 4096, 8000];
    sizes.push(16_384, 16_385, 65_536, 100_001, 262_144, 524_288);

    for (const [index, floats] of sizes.entries()) {
      const buffer = new ArrayBuffer(512 + floats * 4);
      new Float32Array(buffer, 512).fill(index);
      const { payload: _payload, ...head } = emptyFrame('step');
      const session = 's'.repeat(index);
      link.sendInPlace(
        { ...head, session, sequence: index, dtype: 'float32', shape: [floats] },
        buffer,
        512,
      );
      while (echoes.length <= index) await settle();
    }

    expect(link.payloadCopies).toBe(0);
    expect(serverLinks[0]!.payloadCopies).toBe(0);
    for (const [index, { payload, shape }] of [...got, ...echoes].entries()) {
      expect(payload.byteOffset % 8).toBe(0);
      const floats = new Float32Array(payload.buffer, payload.byteOffset, shape[0]);
      expect(floats.every((value) => value === index % sizes.length)).toBe(true);
    }
    connection.close();
  });

  it('copies, and counts, the tensors of a peer that aligns nothing', async () => {
    serverLinks = [];
    got = [];
    const peer = rawPeer(server.address);
    const frame = frameMessage(protoPath);
    peer.hello();
    const step = { type: 3, session: 'plain', dtype: 1, shape: [4] };
    const message = frame.encode({ ...step, payload: Buffer.alloc(16, 1) });
    peer.write(message);
    while (got.length === 0) await settle();

    expect(got[0]).toMatchObject({ session: 'plain', shape: [4] });
    expect(got[0]!.payload.byteOffset % 8).toBe(0);
    expect(serverLinks[0]!.payloadCopies).toBe(1);
    peer.end();
    peer.close();
  });

  it('answers unreadable and oversized frames with FAIL and keeps the stream', async () => {
    got = [];
    const peer = rawPeer(server.address);
    const frame = frameMessage(protoPath);
    peer.hello();
    peer.write(Uint8Array.from([0x08, 3, 0x12, 1, 0x61, 0x7a, 0x7f]));
    peer.write(frame.encode({ type: 3, session: 'big', payload: Buffer.alloc(5 * 2 ** 20) }));
    peer.write(encodeFrame({ ...emptyFrame('close'), session: 'fine' }));
    const failuresSeen = () => peer.frames.filter(({ type }) => type === 'fail');
    while (got.length === 0 || failuresSeen().length < 2) await settle();

    const failures = failuresSeen();
    expect(
      failures.map(({ session, payload }) => [
        session,
        JSON.parse(Buffer.from(payload).toString()).code,
      ]),
    ).toEqual([
      ['a', 'FRAME_MALFORMED'],
      ['big', 'FRAME_TOO_LARGE'],
    ]);
    expect(got[0]).toMatchObject({ type: 'close', session: 'fine' });
    peer.end();
    peer.close();
  });

  it('ends a stream that does not begin with HELLO, or sends what no message may be', async () => {
    const silent = rawPeer(server.address);
    silent.write(encodeFrame(emptyFrame('step')));
    expect((await silent.ended).code).toBe(3);
    silent.close();

    const huge = rawPeer(server.address);
    huge.hello();
    huge.write(Buffer.alloc(17 * 2 ** 20));
    expect((await huge.ended).code).toBe(8);
    huge.close();

    const connection = connect();
    expect((await connection.link()).peerId).toBe('server');
    connection.close();
  });

  it('opens one stream for all who ask, and another after it went down', async () => {
    const connection = connect();
    const [one, same] = await Promise.all([connection.link(), connection.link()]);
    expect(same).toBe(one);

    one.close();

    const next = await connection.link();
    expect(next).not.toBe(one);
    expect(next.up).toBe(true);
    connection.close();
  });

  it('says SHARD_UNAVAILABLE where nothing listens', async () => {
    const connection = connectInstance({ address: '127.0.0.1:1', peerId: 'x', ticket: 'x' });
    await expect(connection.link()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    const lost = await new Promise((onDown) => connection.attach({ onReport: () => {}, onDown }));
    expect(lost).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    connection.close();
  });

  it('carries errors whole: code, message, details', async () => {
    const connection = connect();
    const ask = async (data: unknown) => {
      const parts = [];
      const packet = { sessionId: 's', sequence: 0, data, createdAtMs: 0 };
      const signal = new AbortController().signal;
      for await (const part of connection.infer(packet, {
        deadlineMs: Date.now() + 5000,
        signal,
      })) {
        parts.push([part.final, part.packet.data]);
      }
      return parts;
    };

    expect(await ask({ deep: [1] })).toEqual([
      [false, 1],
      [true, { deep: [1] }],
    ]);
    const packet = { sessionId: 's', sequence: 0, data: 1, createdAtMs: 0 };
    const signal = new AbortController().signal;
    for await (const _part of connection.infer(packet, { deadlineMs: Date.now() + 5000, signal })) {
      // Who leaves after the first part ends the call, and nothing else.
      break;
    }
    await settle();

    await expect(ask('fail')).rejects.toMatchObject({
      code: 'NO_CANDIDATE',
      message: 'größer als jeder Knoten',
      details: { node: 'n1' },
    });
    await expect(ask('fail at length')).rejects.toMatchObject({ code: 'SPEC_INVALID' });
    connection.close();
  });
});
