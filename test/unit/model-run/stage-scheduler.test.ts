import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createStageScheduler,
  type StageSchedulerOptions,
  type StageWork,
} from '../../../runtime/model/stage-scheduler.ts';

const operation = fc.oneof(
  fc.record({
    type: fc.constant('open' as const),
    tenant: fc.constantFrom('a', 'b', 'c'),
    sharing: fc.option(fc.nat(30), { nil: undefined }),
  }),
  fc.record({ type: fc.constant('close' as const), which: fc.nat(30), keep: fc.boolean() }),
  fc.record({
    type: fc.constant('push' as const),
    which: fc.nat(30),
    rows: fc.constantFrom(1, 1, 1, 7),
  }),
  fc.record({ type: fc.constant('drop' as const), which: fc.nat(30) }),
  fc.record({ type: fc.constant('next' as const), movableTokens: fc.constantFrom(0, 20, 1e9) }),
);

const pick = <K>(keys: Iterable<K>, which: number): K | undefined => {
  const all = [...keys];
  return all[which % Math.max(1, all.length)];
};

/** What lies in a slot: who wrote each position, or begins with it. */
type Held = readonly number[];
const written = (session: number, tokens: number): Held => new Array<number>(tokens).fill(session);
const rowsOf = (session: number, tokens: number, memory: readonly Held[]): Held =>
  memory.find((rows) => tokens > 0 && rows[0] === session)?.slice(0, tokens) ?? [];
function exchange(memory: Held[], [a, b]: StageWork['swaps'][number]): void {
  const [atA, atB] = [memory[a.slot] ?? [], memory[b.slot] ?? []];
  expect(atA.length).toBeGreaterThanOrEqual(a.tokens);
  expect(atB.length).toBeGreaterThanOrEqual(b.tokens);
  memory[a.slot] = atB.slice(0, b.tokens);
  memory[b.slot] = atA.slice(0, a.tokens);
}

interface ModelSession {
  held: number;
  readonly queue: { id: number; rows: number; position: number }[];
}

describe('what a stage computes next', () => {
  it('is a batch of neighbours or one chunk, each step once, in its session’s order, in its session’s memory', () => {
    const options = fc.record({
      maxSessions: fc.constant(9),
      microBatches: fc.integer({ min: 1, max: 4 }),
      splits: fc.boolean(),
    });
    fc.assert(
      fc.property(options, fc.array(operation, { maxLength: 120 }), (chosen, operations) => {
        const scheduler = createStageScheduler(chosen);
        const model = new Map<number, ModelSession>();
        /** Ended and kept, oldest first, with what each holds. */
        const kept = new Map<number, number>();
        const memory: Held[] = Array.from({ length: chosen.maxSessions }, () => []);
        let nextSession = 0;
        let nextId = 0;
        for (const operation of operations) {
          if (operation.type === 'open') {
            if (model.size === chosen.maxSessions) continue;
            const source =
              operation.sharing === undefined
                ? undefined
                : pick([...model.keys(), ...kept.keys()], operation.sharing);
            const held = source === undefined ? 0 : (model.get(source)?.held ?? kept.get(source));
            const shared =
              source !== undefined && held ? { session: source, tokens: held >> 1 } : undefined;
            if (shared && kept.has(shared.session)) {
              kept.delete(shared.session);
              kept.set(shared.session, held ?? 0);
            }
            const [oldest] = kept.keys();
            if (model.size + kept.size === chosen.maxSessions) kept.delete(oldest as number);
            const content = shared ? rowsOf(shared.session, shared.tokens, memory) : [];
            const { slot, copies } = scheduler.open(nextSession, operation.tenant, shared);
            expect(slot).toBe(model.size);
            for (const { from, to, tokens } of copies) {
              memory[to] = [...(memory[from] ?? []).slice(0, tokens)];
            }
            if (content) expect(memory[slot]?.slice(0, content.length)).toEqual(content);
            model.set(nextSession, { held: shared?.tokens ?? 0, queue: [] });
            memory[slot] = written(nextSession, shared?.tokens ?? 0);
            nextSession += 1;
          } else if (operation.type === 'next') {
            const { movableTokens } = operation;
            check(scheduler.next(movableTokens), model, memory, chosen, movableTokens);
          } else {
            const session = pick(model.keys(), operation.which);
            const known = session === undefined ? undefined : model.get(session);
            if (session === undefined || !known) continue;
            if (operation.type === 'close') {
              const swap = scheduler.close(session, operation.keep);
              model.delete(session);
              if (operation.keep) kept.set(session, known.held);
              if (swap) exchange(memory, swap);
            } else if (operation.type === 'drop') {
              const dropped = scheduler.drop(session).map(({ id }) => id);
              expect(dropped).toEqual(known.queue.splice(0).map(({ id }) => id));
            } else {
              const last = known.queue.at(-1);
              const position = last ? last.position + last.rows : known.held;
              const step = { id: nextId++, position, rows: operation.rows };
              known.queue.push(step);
              scheduler.push(session, { ...step, input: new ArrayBuffer(0), sample: true });
            }
          }
          for (const [session, { held }] of model) {
            expect(memory.slice(0, model.size)).toContainEqual(written(session, held));
          }
          for (const [session, held] of kept) {
            expect(memory.map((rows) => rows.slice(0, held))).toContainEqual(
              written(session, held),
            );
          }
        }
        // Nothing is forgotten.
        for (let work = scheduler.next(); work; work = scheduler.next()) {
          check(work, model, memory, chosen);
        }
        expect([...model.values()].flatMap(({ queue }) => queue)).toEqual([]);
        expect(scheduler.expectsMore).toBe(false);
      }),
    );
  });

  function check(
    work: StageWork | undefined,
    model: ReadonlyMap<number, ModelSession>,
    memory: Held[],
    { microBatches, splits }: StageSchedulerOptions,
    movableTokens = 0,
  ) {
    const waiting = [...model.values()].filter(({ queue }) => queue.length > 0);
    if (!work) return expect(waiting).toEqual([]);
    const { steps, type, swaps } = work;
    let moved = 0;
    for (const [a, b] of swaps) {
      exchange(memory, [a, b]);
      moved += a.tokens + b.tokens;
    }
    expect(moved).toBeLessThanOrEqual(movableTokens);
    expect(steps.length).toBeGreaterThan(0);
    for (const [at, { session, slot, id, rows, position }] of steps.entries()) {
      const known = model.get(session) as ModelSession;
      expect(slot).toBe((steps[0]?.slot ?? 0) + at);
      expect(memory[slot]).toEqual(written(session, known.held));
      expect(known.queue.shift()).toEqual({ id, rows, position });
      expect(position).toBe(known.held);
      expect(type === 'decode').toBe(rows === 1 && position > 0);
      known.held += rows;
      memory[slot] = written(session, known.held);
    }
    if (type === 'chunk') expect(steps).toHaveLength(1);
    else if (splits) expect(steps.length).toBeLessThanOrEqual(Math.ceil(model.size / microBatches));
  }
});
