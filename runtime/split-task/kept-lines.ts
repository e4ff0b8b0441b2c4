import { keptLimits } from './task-store.ts';

/** The end of a log, within its bounds. */
export interface KeptLines {
  /** Takes the same few steps however much is kept. */
  push(line: string): void;
  /** The last lines that fit; of a last one that alone is too long, its beginning. */
  all(): readonly string[];
}

export function createKeptLines(before: readonly string[] = []): KeptLines {
  const { lines: maxLines, logCharacters } = keptLimits;
  let lines: string[] = [];
  /** Those before it are dropped. */
  let first = 0;
  /** Of those that are kept, each with its end of line. */
  let characters = 0;

  const isTooMuch = (): boolean =>
    lines.length - first > maxLines || characters - 1 > logCharacters;

  function push(line: string): void {
    const kept = line.slice(0, logCharacters);
    lines.push(kept);
    characters += kept.length + 1;
    while (isTooMuch()) {
      characters -= (lines[first]?.length ?? 0) + 1;
      // A part of a long text holds the whole of it.
      lines[first] = '';
      first += 1;
    }
    if (first < maxLines) return;
    lines = lines.slice(first);
    first = 0;
  }

  for (const line of before) push(line);
  return { push, all: () => lines.slice(first) };
}
