import { PassThrough } from 'node:stream';
import { type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialLink } from '../../../runtime/dataplane/dial-link.ts';
import { encodeFrame } from '../../../runtime/dataplane/frame-codec.ts';
import { emptyFrame, jsonBytes } from '../../../runtime/dataplane/index.ts';

const hello = () =>
  encodeFrame({
    ...emptyFrame('hello'),
    payload: jsonBytes({ version: 1, peerId: 'server', credit: 64, maxFrameBytes: 2 ** 20 }),
  });
/** A call whose other side says back what was said to it. */
const echo = () =>
  Object.assign(new PassThrough({ objectMode: true }), {
    cancel() {},
  }) as unknown as ClientDuplexStream<Buffer, Buffer>;

let rejections: unknown[];
const note = (reason: unknown) => rejections.push(reason);
beforeEach(() => {
  rejections = [];
  process.on('unhandledRejection', note);
});
afterEach(() => process.off('unhandledRejection', note));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A link whose first connection is up; the second fails, and a third cannot be begun. */
async function open() {
  const first = echo();
  const attempts: unknown[] = [];
  const link = dialLink({
    subject: 'server',
    peerId: 'client',
    metadata: () => new Metadata(),
    call(metadata) {
      attempts.push(metadata.get('aios-link-attempt')[0]);
      if (attempts.length === 1) return first;
      if (attempts.length > 2) throw new Error('Channel has been shut down');
      const second = echo();
      setImmediate(() => second.destroy(new Error('cut again')));
      return second;
    },
  });
  first.push(hello());
  return { link: await link, attempts, cut: () => first.destroy() };
}

describe('a link that is dialled again', () => {
  it('is dialled no more once it was closed', async () => {
    const { link, attempts, cut } = await open();
    cut();
    await sleep(20);
    expect(attempts).toEqual([undefined, '1']);
    link.close();
    // Longer than it waits between two calls.
    await sleep(150);
    expect(attempts).toHaveLength(2);
    expect(rejections).toEqual([]);
  });

  it('is down where no call can be begun any more', async () => {
    const { link, attempts, cut } = await open();
    const down = new Promise<Error>((resolve) => link.onDown(resolve));
    cut();
    expect(await down).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(attempts).toEqual([undefined, '1', '2']);
    expect(rejections).toEqual([]);
  });
});
