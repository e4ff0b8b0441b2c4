import type { CutPlaces } from './frontiers.ts';

const maxSegments = 256;

/**
 * Where a graph may be cut without regret, for a planner that weighs memory: of the best kind of place that there is,
 * those that send little. A segment between two of them is a layer to the planner.
 *
 * @returns index of the first node of each segment but the first
 */
export function segmentStarts({
  anchors,
  weightsBefore,
  trafficBytes,
  groups,
}: CutPlaces): number[] {
  const places = [...anchors.keys()].slice(1);
  const best = places.reduce((least, place) => Math.min(least, groups[place] ?? 2), 2);
  const good = places.filter((place) => groups[place] === best);
  const sorted = good.map((place) => trafficBytes[place] ?? 0).sort((a, b) => a - b);
  const limit = 2 * (sorted[Math.floor(sorted.length / 2)] ?? 0);
  // Of places between the same weights, the one that sends least.
  const byWeights = new Map<number, number>();
  for (const place of good.filter((one) => (trafficBytes[one] ?? 0) <= limit)) {
    const weights = weightsBefore[place] ?? 0;
    const other = byWeights.get(weights);
    if (other === undefined || (trafficBytes[place] ?? 0) < (trafficBytes[other] ?? 0)) {
      byWeights.set(weights, place);
    }
  }
  const total = weightsBefore.at(-1) ?? 0;
  const starts = [...byWeights].filter(([weights]) => weights > 0 && weights < total);
  const step = Math.max(1, Math.ceil(starts.length / maxSegments));
  return starts
    .filter((_, index) => index % step === 0)
    .flatMap(([, place]) => anchors[place] ?? []);
}
