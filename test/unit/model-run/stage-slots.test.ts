import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStageSlots } from '../../../runtime/model/stage-slots.ts';

const pick = <K>(keys: Iterable<K>, which: number): K | undefined => {
  const all = [...keys];
  return all[which % Math.max(1, all.length)];
};

describe('slots', () => {
  it('stay dense, every session finds what it wrote, and who has ended is found until its place is needed', () => {
    const action = fc.record({ which: fc.integer({ min: -2, max: 20 }), keep: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const capacity = 8;
        const slots = createStageSlots<number>(capacity);
        // What each slot holds, as the KV buffer would; the model is the set of sessions.
        const memory = new Array<number | undefined>(capacity);
        const open = new Set<number>();
        const kept = new Set<number>();
        let next = 0;
        for (const { which, keep } of actions) {
          const session = which < 0 ? undefined : pick(open, which);
          if (which === -2) {
            const read = pick(kept, next);
            if (read === undefined) continue;
            slots.touch(read);
            kept.delete(read);
            kept.add(read);
          } else if (session !== undefined) {
            const move = slots.close(session, keep);
            open.delete(session);
            if (keep) kept.add(session);
            if (move) {
              [memory[move.to], memory[move.from]] = [
                memory[move.from],
                keep ? memory[move.to] : undefined,
              ];
            }
          } else if (open.size < capacity) {
            const [oldest] = kept;
            if (open.size + kept.size === capacity) kept.delete(oldest as number);
            const { slot, move } = slots.open(next);
            if (move) memory[move.to] = memory[move.from];
            memory[slot] = next;
            open.add(next++);
          }
          expect(slots.size).toBe(open.size);
          const taken = [...open].map((one) => slots.slotOf(one) ?? -1);
          expect(taken.sort((a, b) => a - b)).toEqual(taken.map((_, at) => at));
          for (const one of [...open, ...kept]) expect(memory[slots.slotOf(one) ?? -1]).toBe(one);
        }
        expect(slots.close(-5)).toBeUndefined();
      }),
    );
  });
});
