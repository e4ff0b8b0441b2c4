import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emptyFrame, jsonBytes } from '../../../runtime/dataplane/index.ts';
import { createShardInbox } from '../../../runtime/vdag/shard-inbox.ts';

const tokenWith = (payload: Uint8Array) => ({ ...emptyFrame('token'), session: 's', payload });

test('a choice is read, with null for what cannot come', async () => {
  const inbox = createShardInbox();
  inbox.accept(
    tokenWith(
      jsonBytes({
        logprob: -1,
        top: [
          [3, -1],
          [4, null],
        ],
      }),
    ),
  );
  expect((await inbox.token()).choice).toEqual({
    logprob: -1,
    top: [
      [3, -1],
      [4, Number.NEGATIVE_INFINITY],
    ],
  });
});

test('whatever else a shard sends as a choice is the failure of its session, and is not thrown at the link', async () => {
  const shapes = fc.oneof(
    fc.uint8Array({ minLength: 1 }),
    fc.json().map((text) => new Uint8Array(Buffer.from(text))),
    fc
      .record({
        logprob: fc.jsonValue(),
        top: fc.array(fc.array(fc.jsonValue()), { minLength: 1 }),
      })
      .filter(({ logprob }) => typeof logprob !== 'number' && logprob !== null)
      .map(jsonBytes),
  );
  await fc.assert(
    fc.asyncProperty(shapes, async (payload) => {
      const inbox = createShardInbox();
      inbox.accept(tokenWith(payload));
      await expect(inbox.token()).rejects.toMatchObject({ code: 'FRAME_MALFORMED' });
    }),
  );
});

test('so is a FAIL that nobody can read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
      const inbox = createShardInbox();
      inbox.accept({ ...emptyFrame('fail'), session: 's', payload: Buffer.from(text) });
      await expect(inbox.opened()).rejects.toHaveProperty('code');
    }),
  );
});
