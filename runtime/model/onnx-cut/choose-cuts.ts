import { SplitError } from '../../../sdk/errors.ts';
import type { CutPlaces } from './frontiers.ts';

/** How much larger than in the most even split the largest part may be, for less traffic; tried in order. */
const allowances = [0.1, 0.25];
/** A larger allowance must bring the cost below this fraction. */
const worthwhile = 0.6;
/** For a cut inside a group that is fused at the default level: dearer than any traffic; at `basic`, dearer than all of those. */
const insideCost = 2 ** 60;
const brokenCost = 2 ** 75;
const groupCosts = [0, insideCost, brokenCost] as const;

/**
 * Where to cut into `count` parts: as even in weight bytes as it goes, and among those nearly as even, cuts between fused
 * groups before cuts inside them, then the least traffic.
 *
 * @returns index of the node before which each cut lies
 * @throws {SplitError} SPLIT_INFEASIBLE - there are fewer nodes than parts
 */
export function chooseCuts(places: CutPlaces, count: number): readonly number[] {
  const { anchors } = places;
  if (count < 1 || count > Math.max(1, anchors.length)) {
    throw new SplitError(
      'SPLIT_INFEASIBLE',
      `the graph has ${anchors.length} nodes to share out, which do not make ${count} parts. Ask for fewer.`,
    );
  }
  const evenest = smallestLargest(places, count);
  let chosen: Choice | undefined;
  for (const allowance of allowances) {
    const limit = evenest * (1 + Math.min(allowance, 0.5 / count));
    const choice = cheapest(places, count, limit);
    if (!choice) continue;
    if (!chosen || choice.cost < chosen.cost * worthwhile) {
      chosen = evened(places, count, choice, [evenest, limit]);
    }
  }
  return (chosen?.cuts ?? []).flatMap((place) => anchors[place] ?? []);
}

/** Of the cuts that cost as little, those with the smallest largest part. */
function evened(
  places: CutPlaces,
  count: number,
  choice: Choice,
  [least, most]: readonly [number, number],
): Choice {
  let [best, low, high] = [choice, least, most];
  for (let step = 0; step < 12; step += 1) {
    const middle = (low + high) / 2;
    const other = cheapest(places, count, middle);
    if (other && other.cost <= choice.cost) [best, high] = [other, middle];
    else low = middle;
  }
  return best;
}

/** Weight bytes of the largest part in the most even split into `count` parts. */
function smallestLargest({ weightsBefore: sums }: CutPlaces, count: number): number {
  const total = sums.at(-1) ?? 0;
  const parts = (limit: number) => {
    let needed = 1;
    let start = 0;
    for (let index = 1; index < sums.length; index += 1) {
      const heavy = (sums[index] ?? 0) - (sums[index - 1] ?? 0);
      if (heavy > limit) return Number.POSITIVE_INFINITY;
      if ((sums[index] ?? 0) - start <= limit) continue;
      needed += 1;
      start = sums[index - 1] ?? 0;
    }
    return needed;
  };
  let low = 0;
  let high = total;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (parts(middle) <= count) high = middle;
    else low = middle;
  }
  return high;
}

interface Choice {
  readonly cuts: readonly number[];
  readonly cost: number;
}

/** The cheapest cuts into `count` parts of at most `limit` bytes: the best end of each part, found from those before it. */
function cheapest(places: CutPlaces, count: number, limit: number): Choice | undefined {
  const { anchors, weightsBefore: sums, trafficBytes, groups } = places;
  const size = anchors.length;
  const cutCost = (place: number) => (trafficBytes[place] ?? 0) + groupCosts[groups[place] ?? 0];
  // costs[place]: of the parts so far, the last of which ends before anchor `place`.
  let costs = Float64Array.from({ length: size + 1 }, (_, place) =>
    place > 0 && (sums[place] ?? 0) <= limit ? 0 : Number.POSITIVE_INFINITY,
  );
  const origins: Int32Array[] = [];
  for (let part = 1; part < count; part += 1) {
    const next = new Float64Array(size + 1).fill(Number.POSITIVE_INFINITY);
    const origin = new Int32Array(size + 1).fill(-1);
    // Starts that may still be the best, the cheapest first: weights only grow, so the window only moves on.
    const window: { readonly start: number; readonly cost: number }[] = [];
    let head = 0;
    for (let end = part + 1; end <= size; end += 1) {
      const start = end - 1;
      const cost = (costs[start] ?? 0) + cutCost(start);
      while (window.length > head && (window.at(-1)?.cost ?? 0) > cost) window.pop();
      if (Number.isFinite(cost)) window.push({ start, cost });
      while (
        head < window.length &&
        (sums[end] ?? 0) - (sums[window[head]?.start ?? 0] ?? 0) > limit
      ) {
        head += 1;
      }
      const best = window[head];
      if (!best) continue;
      next[end] = best.cost;
      origin[end] = best.start;
    }
    costs = next;
    origins.push(origin);
  }
  const cost = costs[size] ?? Number.POSITIVE_INFINITY;
  if (!Number.isFinite(cost)) return undefined;
  const cuts: number[] = [];
  let end = size;
  for (const origin of origins.reverse()) {
    end = origin[end] ?? 0;
    cuts.unshift(end);
  }
  return { cuts, cost };
}
