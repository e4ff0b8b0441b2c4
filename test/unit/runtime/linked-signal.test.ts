import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linkSignals } from '../../../runtime/linked-signal.ts';
import { waitersOf } from '../../support/signal.ts';
import { repository } from '../../support/system.ts';

describe('a signal of several', () => {
  test('aborts with the first, for its reason, and holds on to none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(), fc.boolean(), (count, at, before) => {
        const sources = Array.from({ length: count }, () => new AbortController());
        const first = sources[at % count] as AbortController;
        if (before) first.abort('why');
        const linked = linkSignals(undefined, ...sources.map(({ signal }) => signal));
        if (!before) {
          expect(linked.signal.aborted).toBe(false);
          expect(sources.map(({ signal }) => waitersOf(signal))).toEqual(sources.map(() => 1));
          first.abort('why');
        }
        for (const source of sources) source.abort('too late');

        expect(linked.signal.reason).toBe('why');
        expect(sources.map(({ signal }) => waitersOf(signal))).toEqual(sources.map(() => 0));
      }),
    );
  });

  test('that was released follows none, and leaves nothing with them', () => {
    const source = new AbortController();
    for (let made = 0; made < 50; made += 1) linkSignals(source.signal).release();
    const linked = linkSignals(source.signal);
    linked.release();
    linked.release();
    source.abort();

    expect(linked.signal.aborted).toBe(false);
    expect(waitersOf(source.signal)).toBe(0);
  });
});

test('nothing uses AbortSignal.any, which keeps an entry for each use in what lives longest', () => {
  const kept = new AbortController();
  AbortSignal.any([kept.signal]);
  // What the counts above would have seen.
  expect(waitersOf(kept.signal)).toBe(1);

  const users = ['sdk', 'policies', 'runtime', 'cli'].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file))
      .filter((file) => readFileSync(join(repository, file), 'utf8').includes('AbortSignal.any(')),
  );
  expect(users).toEqual([]);
});
