import type { CandidateCounts } from '../../sdk/client/api.ts';

/** One candidate, as a policy or the platform judged it. */
export interface CandidateRow {
  readonly score?: number | undefined;
  readonly refusedBy?: string | undefined;
  readonly seen?: string | undefined;
}

/** Up to so many, every row is kept. */
export const allRowsUpTo = 100;
const bestScores = 20;
const examples = 5;
/** A policy may word each refusal differently. */
const maxConditions = 50;
const otherConditions = 'other conditions';
const maxTextLength = 300;

const shortText = (text: string): string =>
  text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength - 1)}…`;

function shortRow<Row extends CandidateRow>(row: Row): Row {
  const { refusedBy, seen } = row;
  return {
    ...row,
    ...(refusedBy === undefined ? {} : { refusedBy: shortText(refusedBy) }),
    ...(seen === undefined ? {} : { seen: shortText(seen) }),
  };
}

/** A row and what it is about. */
interface Kept<Row, Of> {
  readonly row: Row;
  readonly of: Of;
}

/**
 * What is kept of many candidates: counts a refusing condition, the best 20 scores (of equal ones, the first), 5 examples
 * a condition, and whatever `always` names. O(candidates), and small whatever a policy wrote into its rows.
 */
export class CandidateDigest<Row extends CandidateRow, Of = undefined> {
  #total = 0;
  #scored = 0;
  /** Best first. */
  readonly #best: (Kept<Row, Of> & { readonly score: number })[] = [];
  readonly #refused = new Map<string, { count: number; readonly examples: Kept<Row, Of>[] }>();
  readonly #always: Kept<Row, Of>[] = [];

  add(row: Row, of: Of, always = false): void {
    this.#total += 1;
    if (always) this.#always.push({ row, of });
    if (row.refusedBy !== undefined) this.#addRefused(row, of, row.refusedBy, always);
    else if (row.score !== undefined) this.#addScored(row, of, row.score, always);
  }

  /**
   * A score each, where making a row of each would cost more than looking at it.
   *
   * @param toldOtherwise - how many of them are told by rows of their own
   * @param rowOf - called for those that may be kept; nothing for one that is told otherwise
   */
  addScores(
    scores: readonly number[],
    toldOtherwise: number,
    of: Of,
    rowOf: (at: number) => Row | undefined,
  ): void {
    this.#total += scores.length - toldOtherwise;
    this.#scored += scores.length - toldOtherwise;
    let worst = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < scores.length; at += 1) {
      const score = scores[at] as number;
      if (score <= worst) continue;
      const row = rowOf(at);
      if (row) this.#keepScored(row, of, score);
      if (this.#best.length >= bestScores) worst = this.#best.at(-1)?.score ?? worst;
    }
  }

  /** Many that one condition refused, with some of them. */
  addRefusals(refusedBy: string, count: number, some: readonly Row[], of: Of): void {
    this.#total += count;
    const condition = this.#condition(refusedBy);
    condition.count += count;
    for (const row of some) {
      if (condition.examples.length < examples) condition.examples.push({ row, of });
    }
  }

  /** Always kept, and counted already. */
  keep(row: Row, of: Of): void {
    this.#always.push({ row, of });
  }

  #addScored(row: Row, of: Of, score: number, always: boolean): void {
    this.#scored += 1;
    const worst = this.#best.at(-1);
    if (always || (worst && this.#best.length >= bestScores && score <= worst.score)) return;
    this.#keepScored(row, of, score);
  }

  #keepScored(row: Row, of: Of, score: number): void {
    const place = this.#best.findIndex((other) => other.score < score);
    this.#best.splice(place < 0 ? this.#best.length : place, 0, { row, of, score });
    if (this.#best.length > bestScores) this.#best.pop();
  }

  #addRefused(row: Row, of: Of, refusedBy: string, always: boolean): void {
    const condition = this.#condition(refusedBy);
    condition.count += 1;
    if (!always && condition.examples.length < examples) condition.examples.push({ row, of });
  }

  #condition(refusedBy: string): { count: number; readonly examples: Kept<Row, Of>[] } {
    const name =
      this.#refused.size < maxConditions || this.#refused.has(refusedBy)
        ? refusedBy
        : otherConditions;
    const known = this.#refused.get(name) ?? { count: 0, examples: [] };
    this.#refused.set(name, known);
    return known;
  }

  /** What is always kept, then the best scores, then the examples. */
  rows(): readonly Kept<Row, Of>[] {
    const refused = [...this.#refused.values()].flatMap((condition) => condition.examples);
    return [...this.#always, ...this.#best, ...refused].map(({ row, of }) => ({
      row: shortRow(row),
      of,
    }));
  }

  /** Of what was added. */
  counts(): CandidateCounts {
    const refused = [...this.#refused].map(([refusedBy, { count }]) => ({
      refusedBy: shortText(refusedBy),
      count,
    }));
    refused.sort((a, b) => b.count - a.count);
    return { total: this.#total, scored: this.#scored, refused };
  }
}
