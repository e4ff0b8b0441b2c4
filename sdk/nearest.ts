/** Words longer than this are compared by their beginning: suggestions are for typing errors. */
const comparedLength = 64;
/** Of many more, any suggestion would be chance. */
const comparedCandidates = 500;

/** Case and separators are the commonest slip (`release_tag`, `releasetag`), so they cost nothing. */
const folded = (word: string): string =>
  word.slice(0, comparedLength).toLowerCase().replace(/[-_ ]/g, '');

/**
 * Edits that turn `a` into `b`: insert, delete, replace, or swap two neighbours (Damerau–Levenshtein, optimal string
 * alignment). O(a.length × b.length).
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (above[column] ?? 0) + 1,
        (line[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped && row > 1 && column > 1) cost = Math.min(cost, (before[column - 2] ?? 0) + 1);
      line.push(cost);
    }
    before = above;
    above = line;
  }
  return above[b.length] ?? 0;
}

/** @returns the candidate a person most likely meant, or nothing when none of the first 500 is close (a third of the letters). */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = folded(word);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  let compared = 0;
  for (const candidate of candidates) {
    compared += 1;
    if (compared > comparedCandidates) break;
    const other = folded(candidate);
    const allowed = Math.floor(Math.max(wanted.length, other.length) / 3);
    if (Math.abs(wanted.length - other.length) > allowed) continue;
    const distance = editDistance(wanted, other);
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
