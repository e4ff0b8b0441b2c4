import { expect, test } from 'vitest';
import { emptyFrame, type FlowLink, openFrameLink } from '../../../runtime/dataplane/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { memoryStreams } from './memory-stream.ts';

async function pair() {
  const streams = memoryStreams();
  const aborted: AiosError[] = [];
  const [peer, link] = (await Promise.all(
    streams.map((stream, at) =>
      openFrameLink({
        stream,
        selfId: `side-${at}`,
        abort: (error) => aborted.push(error),
        toError: (error) => AiosError.from(error, 'SHARD_UNAVAILABLE'),
      }),
    ),
  )) as [FlowLink, FlowLink];
  return { peer, link, aborted };
}

test('frames that need no credit are kept for a listener within a bound, and then end the link', async () => {
  const { peer, link, aborted } = await pair();
  const close = (sequence: number, payload: Uint8Array) =>
    peer.send({ ...emptyFrame('close'), session: 's', sequence, payload });

  for (let sequence = 0; sequence < 100; sequence += 1) close(sequence, new Uint8Array(8));
  await new Promise((resolve) => setTimeout(resolve, 10));
  const seen: number[] = [];
  link.onFrame(({ sequence }) => seen.push(sequence));
  expect(seen).toEqual(Array.from({ length: 100 }, (_, at) => at));
  expect(aborted).toEqual([]);
});

test('nobody fills memory with them', async () => {
  const { peer, link, aborted } = await pair();
  const payload = new Uint8Array(2 ** 20);
  for (let sequence = 0; sequence < 66; sequence += 1) {
    peer.send({ ...emptyFrame('close'), session: 's', sequence, payload });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(aborted.map(({ code }) => code)).toEqual(['FRAME_OUT_OF_ORDER']);
  expect([peer.up, link.up]).toEqual([true, false]);
});
