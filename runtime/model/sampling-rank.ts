/** Whether token `a` stands before token `b`: the higher score first, on a tie the lower id. */
const before = (scores: Float64Array, a: number, b: number) => {
  const [x, y] = [scores[a] ?? 0, scores[b] ?? 0];
  return x > y || (x === y && a < b);
};

/**
 * The `count` best token ids, best first; on a tie the lower id. O(tokens × log count), so a few of a large vocabulary
 * are cheap.
 */
export function bestTokens(scores: Float64Array, count: number): number[] {
  const wanted = Math.min(count, scores.length);
  if (wanted === 0) return [];
  const order = (a: number, b: number) => (before(scores, a, b) ? -1 : 1);
  if (wanted * 4 >= scores.length) {
    return Array.from(scores.keys()).sort(order).slice(0, wanted);
  }
  // A heap of the best so far with the worst of them on top.
  const heap = new Int32Array(wanted);
  for (let token = 0; token < scores.length; token++) {
    if (token < wanted) {
      heap[token] = token;
      if (token === wanted - 1) {
        for (let at = (wanted >> 1) - 1; at >= 0; at--) sink(heap, scores, at);
      }
    } else if (before(scores, token, heap[0] ?? 0)) {
      heap[0] = token;
      sink(heap, scores, 0);
    }
  }
  return Array.from(heap).sort(order);
}

/**
 * The `count` best indexes, ascending; on a tie the lower ones. As fast for most of a large vocabulary as for a few.
 *
 * @param values - not NaN
 */
export function bestIndexes(values: Float64Array, count: number): Uint32Array {
  if (count * 4 < values.length) return Uint32Array.from(bestTokens(values, count)).sort();
  const wanted = Math.min(count, values.length);
  const lowest = values.slice().sort()[values.length - wanted];
  return lowest === undefined ? new Uint32Array(0) : indexesFrom(values, lowest, wanted);
}

/** @returns the first `count` indexes whose values are best, ascending, where the last of them in order has the value `lowest` */
export function indexesFrom(values: Float64Array, lowest: number, count: number): Uint32Array {
  let ties = count;
  for (const value of values) if (value > lowest) ties--;
  const kept = new Uint32Array(count);
  let found = 0;
  for (let index = 0; index < values.length && found < count; index++) {
    const value = values[index] ?? 0;
    if (value > lowest || (value === lowest && ties-- > 0)) kept[found++] = index;
  }
  return kept;
}

function sink(heap: Int32Array, scores: Float64Array, from: number): void {
  const token = heap[from] ?? 0;
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = child + 1;
    if (right < heap.length && before(scores, heap[child] ?? 0, heap[right] ?? 0)) child = right;
    if (before(scores, heap[child] ?? 0, token)) break;
    heap[at] = heap[child] ?? 0;
    at = child;
  }
  heap[at] = token;
}
