import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import {
  createModelAdmission,
  type ModelAdmission,
} from '../../../runtime/vdag/model-admission.ts';
import type { Place } from '../../../runtime/vdag/waiting-room.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { generationLimits } from '../../../sdk/spec/vdag.ts';

const limits = generationLimits.parse({ maxWaitMs: 60_000, maxWaiting: 20 });
const never = new AbortController().signal;
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const roomOf = (admission: ModelAdmission, modelUri: string) =>
  admission.room({ tenant: 't', modelUri, blocks: ['b'] });

const open: ModelAdmission[] = [];
afterEach(() => {
  for (const admission of open.splice(0)) admission.close();
});
function admissionOf(slotsOf?: () => number | undefined): ModelAdmission {
  const admission = createModelAdmission(slotsOf);
  open.push(admission);
  return admission;
}

test('who waits in a room that was forgotten meanwhile is let in, and the room is found again', async () => {
  const admission = admissionOf(() => 1);
  const held = await roomOf(admission, 'held').enter('c', limits, never);
  const room = roomOf(admission, 'asked');
  // As many are asked for while its prompt is made tokens.
  for (let at = 0; at < 300; at += 1) roomOf(admission, `m${at}`);
  const waits = room.enter('c', limits, never);
  expect(roomOf(admission, 'asked')).toBe(room);
  held.leave();

  (await waits).leave();
});

test('a model has one room at a time, whoever still has an earlier one: its limits and slots hold for all', async () => {
  const one = generationLimits.parse({
    ...{ maxWaitMs: 60_000, maxWaiting: 2, maxSessionsPerClient: 1 },
  });
  const admission = admissionOf(() => 3);
  // Asked for before its prompt is made tokens, and forgotten meanwhile.
  const early = roomOf(admission, 'm');
  for (let at = 0; at < 300; at += 1) roomOf(admission, `m${at}`);
  const late = roomOf(admission, 'm');
  const held = await late.enter('c', one, never);

  const waits = early.enter('c', one, never);
  await settled();
  expect([early.open, early.waiting, late.open, late.waiting]).toEqual([1, 1, 1, 1]);
  expect(early.pace.answerMs).toBeUndefined();
  early.pace.ended(3);
  expect(late.pace.answerMs).toBe(0);
  held.leave();
  (await waits).leave();
});

const step = fc.record({
  kind: fc.constantFrom('ask', 'enter', 'enter', 'leave', 'forget', 'forget'),
  model: fc.constantFrom('m', 'n'),
  client: fc.constantFrom('c', 'd'),
  /** Which of those handed out, or inside. */
  at: fc.nat(),
});

test('however rooms are asked for, forgotten and entered, slots and limits of a client hold, and all come in', async () => {
  const each = generationLimits.parse({ ...limits, maxWaiting: 1000, maxSessionsPerClient: 1 });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const admission = admissionOf(() => 3);
      const asked = { m: [roomOf(admission, 'm')], n: [roomOf(admission, 'n')] };
      const inside: { readonly who: string; readonly place: Place }[] = [];
      let [entered, came] = [0, 0];
      const leave = (at: number) =>
        inside.splice(at % Math.max(1, inside.length), 1)[0]?.place.leave();
      for (const { kind, model, client, at } of steps) {
        const rooms = asked[model];
        if (kind === 'ask') rooms.push(roomOf(admission, model));
        else if (kind === 'leave') leave(at);
        else if (kind === 'forget') {
          for (let other = 0; other < 300; other += 1) roomOf(admission, `other-${other}`);
        } else {
          entered += 1;
          void rooms[at % rooms.length]?.enter(client, each, never).then((place) => {
            came += 1;
            inside.push({ who: `${model} ${client}`, place });
          });
        }
        await settled();
        expect(inside.length).toBeLessThanOrEqual(3);
        const most = Math.max(
          0,
          ...inside.map((one) => inside.filter((o) => o.who === one.who).length),
        );
        expect(most).toBeLessThanOrEqual(1);
      }
      while (inside.length > 0) {
        leave(0);
        await settled();
      }
      expect(came).toBe(entered);
    }),
    { numRuns: 30 },
  );
});

test('rooms asked for again stay, those in which somebody is stay, and others are forgotten', async () => {
  const admission = admissionOf(() => 1);
  const inside = roomOf(admission, 'inside');
  const place = await inside.enter('c', limits, never);
  const [asked, other] = [roomOf(admission, 'asked'), roomOf(admission, 'other')];
  for (let at = 0; at < 300; at += 1) {
    roomOf(admission, `m${at}`);
    expect(roomOf(admission, 'asked')).toBe(asked);
  }

  expect(roomOf(admission, 'inside')).toBe(inside);
  expect(roomOf(admission, 'other')).not.toBe(other);
  place.leave();
});

test('of a block that says nothing only so many are let in, and what it said last holds', async () => {
  let slots: number | undefined;
  const room = roomOf(
    admissionOf(() => slots),
    'm',
  );
  const gone = new AbortController();
  const asked = Array.from({ length: 12 }, () =>
    room.enter('c', limits, gone.signal).catch(AiosError.from),
  );
  await settled();
  expect([room.open, room.waiting]).toEqual([8, 4]);
  slots = 10;
  room.advance();
  slots = undefined;
  room.advance();
  expect([room.open, room.waiting]).toEqual([10, 2]);
  gone.abort(new AiosError('CANCELLED', 'gone'));
  await Promise.all(asked);
});

test('where nobody counts slots, all are let in', async () => {
  const room = roomOf(admissionOf(), 'm');
  await Promise.all(Array.from({ length: 30 }, () => room.enter('c', limits, never)));
  expect([room.open, room.waiting]).toEqual([30, 0]);
});
