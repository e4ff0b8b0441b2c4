import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

function read(value: unknown, path: readonly string[]): number | undefined {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return typeof at === 'number' && Number.isFinite(at) ? at : undefined;
}

/** Choose it to find the least busy, the cheapest or the largest of what a filter lets through. */
export default definePolicy({
  hook: 'ranking',
  name: 'by-metric',
  version: '1.0.0',
  description:
    'Orders by one number of the documents; what does not have it comes last. Choose it to find the least busy or the largest.',
  parameters: z.strictObject({
    /** Path in the document, such as `metrics.outstandingRequests.last`. */
    path: z.string().default('metrics.outstandingRequests.last'),
    order: z.enum(['ascending', 'descending']).default('ascending'),
    /** As AIOS calls it: how many are shown. */
    return: z.number().int().positive().optional(),
  }),
  settings: z.strictObject({}),
  evaluate({ candidates }, { parameters }) {
    const path = parameters.path.split('.');
    const sign = parameters.order === 'ascending' ? 1 : -1;
    const ranked = candidates.map((candidate) => ({
      id: candidate.id,
      score: read(candidate, path),
    }));
    ranked.sort((a, b) => {
      if (a.score === undefined || b.score === undefined) {
        return Number(a.score === undefined) - Number(b.score === undefined);
      }
      return sign * (a.score - b.score) || (a.id < b.id ? -1 : 1);
    });
    return {
      ranked: ranked
        .slice(0, parameters.return ?? ranked.length)
        .map(({ id, score }) => (score === undefined ? { id } : { id, score })),
    };
  },
});
