import type { TraceContext } from './trace-context.ts';

/** Whether a new span is exported: decided once a trace, at its beginning. */
export type Sampler = (traceId: string, parent: TraceContext | undefined) => boolean;

export const samplerNames = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export type SamplerName = (typeof samplerNames)[number];

const ratioDigits = 14;

/** @param ratio - part of the traces, 0 to 1, for the samplers that take one */
export function createSampler(name: SamplerName, ratio: number): Sampler {
  // By the id's last digits, which are random in every maker's ids: whoever else asks decides alike.
  const byRatio: Sampler = (traceId) =>
    Number.parseInt(traceId.slice(-ratioDigits), 16) < ratio * 16 ** ratioDigits;
  const always: Sampler = () => true;
  const never: Sampler = () => false;
  const parentBased =
    (root: Sampler): Sampler =>
    (traceId, parent) =>
      parent ? parent.sampled : root(traceId, parent);
  switch (name) {
    case 'always_on':
      return always;
    case 'always_off':
      return never;
    case 'traceidratio':
      return byRatio;
    case 'parentbased_always_on':
      return parentBased(always);
    case 'parentbased_always_off':
      return parentBased(never);
    case 'parentbased_traceidratio':
      return parentBased(byRatio);
  }
}
