import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FlowLink } from '../../../runtime/dataplane/index.ts';
import { createLinkRoom } from '../../../runtime/instance/link-room.ts';

/** The little of a stream that room is counted by. */
function testLink(initialCredit: number) {
  const state = { credit: initialCredit, framesOut: 0, sendable: true };
  const link = state as unknown as FlowLink;
  const send = () => {
    state.credit -= 1;
    state.framesOut += 1;
  };
  return { state, link, send };
}

it('leaves half of a stream to single rows, however many chunks would go', () => {
  const { link, send } = testLink(64);
  const room = createLinkRoom();
  let chunks = 0;
  for (; room.has(link, 48) && chunks < 100; chunks += 1) {
    const giveBack = room.take(link, 48);
    send();
    giveBack(true);
  }
  expect(chunks).toBe(32);
  expect(room.has(link, 1)).toBe(true);
});

it('counts what is still being computed', () => {
  const { link } = testLink(2);
  const room = createLinkRoom();
  const one = room.take(link, 1);
  const two = room.take(link, 1);
  expect(room.has(link, 1)).toBe(false);
  one(false);
  expect(room.has(link, 1)).toBe(true);
  two(false);
});

it('never takes more than the credit, and never stands still for good', () => {
  const event = fc.record({
    type: fc.constantFrom('begin', 'end', 'drop', 'deal'),
    rows: fc.constantFrom(1, 9),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.array(event), (initial, events) => {
      const { state, link, send } = testLink(initial);
      const room = createLinkRoom();
      const batch = Math.max(1, Math.floor(initial / 4));
      const under: ((sent: boolean) => void)[] = [];
      let undealt = 0;
      let pending = 0;
      const end = (sent: boolean) => {
        const giveBack = under.shift();
        if (!giveBack) return;
        if (sent) {
          send();
          undealt += 1;
        }
        giveBack(sent);
      };
      const deal = () => {
        if (undealt === 0) return;
        undealt -= 1;
        pending += 1;
        if (pending < batch) return;
        state.credit += pending;
        pending = 0;
      };
      for (const { type, rows } of events) {
        if (type === 'begin' && room.has(link, rows)) under.push(room.take(link, rows));
        else if (type === 'deal') deal();
        else if (type !== 'begin') end(type === 'end');
        expect(state.credit).toBeGreaterThanOrEqual(under.length);
      }
      while (under.length > 0) end(true);
      while (undealt > 0) deal();
      expect(room.has(link, 1)).toBe(true);
      expect(room.has(link, 9)).toBe(true);
    }),
  );
});
