import { afterEach, expect, test } from 'vitest';
import {
  createModelAdmission,
  type ModelAdmission,
} from '../../../runtime/vdag/model-admission.ts';
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
