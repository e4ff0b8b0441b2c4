import { expect, test } from 'vitest';
import { contentBytes, toContent } from '../../../runtime/dataplane/packet-codec.ts';
import type { Packet } from '../../../sdk/packet.ts';

const packetOf = (bytes: number): Packet => ({
  ...{ sessionId: 's', sequence: 0, data: {}, createdAtMs: 0 },
  tensors: { x: { dtype: 'uint8', shape: [bytes], data: new Uint8Array(bytes) } },
});

test('a packet that no message holds is refused before it is sent, and told what to change', () => {
  expect(contentBytes(toContent(packetOf(15 * 2 ** 20)))).toBe(15 * 2 ** 20 + 2);
  expect(() => toContent(packetOf(16 * 2 ** 20))).toThrow(
    expect.objectContaining({
      code: 'FRAME_TOO_LARGE',
      message: expect.stringContaining('smaller batch'),
    }),
  );
});
