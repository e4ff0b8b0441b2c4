const chunkLength = 64;

interface Chunk<T> {
  readonly things: readonly T[];
  readonly values: readonly Float64Array[];
}

/**
 * Numbers of many things, such as thousands of nodes, as columns: comparing or summing plain numbers costs a fraction of
 * looking into each object, and of frozen things that are still the same objects none is read again.
 *
 * @param reads - one a column; each must depend on the thing alone
 * @returns gives a column a reader, in the order of the things; new arrays each time
 */
export function columns<T extends object>(
  ...reads: readonly ((thing: T) => number)[]
): (things: readonly T[]) => readonly Float64Array[] {
  /** By the first of them. */
  const chunks = new WeakMap<T, Chunk<T>>();

  function fill(things: readonly T[], from: number, into: readonly Float64Array[]): void {
    const first = things[from] as T;
    const length = Math.min(chunkLength, things.length - from);
    const found = chunks.get(first);
    const known = found?.things.length === length ? found : undefined;
    for (const [at, values] of known?.values.entries() ?? []) into[at]?.set(values, from);
    let changed = known === undefined;
    for (let at = 0; at < length; at += 1) {
      const thing = things[from + at] as T;
      if (known?.things[at] === thing) continue;
      changed = true;
      for (let each = 0; each < reads.length; each += 1) {
        const read = reads[each];
        const column = into[each];
        if (read && column) column[from + at] = read(thing);
      }
    }
    if (!changed) return;
    const chunk: T[] = [];
    for (let at = 0; at < length; at += 1) chunk.push(things[from + at] as T);
    if (!chunk.every((thing) => Object.isFrozen(thing))) return;
    const values = into.map((column) => column.slice(from, from + length));
    chunks.set(first, { things: chunk, values });
  }

  return (things) => {
    const into = reads.map(() => new Float64Array(things.length));
    for (let from = 0; from < things.length; from += chunkLength) fill(things, from, into);
    return into;
  };
}
