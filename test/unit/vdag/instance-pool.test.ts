import { expect, test } from 'vitest';
import {
  connectInstance,
  emptyFrame,
  type Frame,
  serveInstance,
} from '../../../runtime/dataplane/index.ts';
import { createInstancePool } from '../../../runtime/vdag/instance-pool.ts';

const secret = 'ab'.repeat(32);

test('what one session cannot read ends that session; the link and the others go on', async () => {
  const server = await serveInstance({
    instanceId: 'i',
    secret,
    handlers: {
      onLink(link) {
        link.onFrame((frame) => {
          link.send(frame);
          link.grant();
        });
      },
      onAttach() {},
      async *infer() {},
    },
  });
  const pool = createInstancePool('driver', connectInstance);
  const pooled = pool.acquire({ instanceId: 'i', address: server.address, secret });
  const link = await pooled.link();
  const downs: Error[] = [];
  let frames = 0;
  link.listen('broken', {
    onFrame: () => {
      frames += 1;
      throw new Error('unreadable');
    },
    onDown: (error) => downs.push(error),
  });
  const heard = new Promise<Frame>((resolve, reject) => {
    link.listen('sound', { onFrame: resolve, onDown: reject });
  });
  const token = (session: string) => ({ ...emptyFrame('token'), session, token: 5 });

  link.send(token('broken'));
  link.send(token('broken'));
  link.send(token('sound'));
  expect((await heard).token).toBe(5);
  expect(downs).toMatchObject([{ message: 'unreadable' }]);
  expect(frames).toBe(1);
  pooled.release();
  pool.close();
  await server.close();
});
