import { z } from 'zod';

/** How activations travel between two shards: `fp32` is exact, `fp16` half the bytes, `int8` (a scale a row) a quarter. */
export const wireDtypes = ['fp32', 'fp16', 'int8'] as const;
export type WireDtype = (typeof wireDtypes)[number];

/** `auto`: lower than fp32 only where the measured link is slow beside the steps of the shard before it. */
export const activationDtypes = [...wireDtypes, 'auto'] as const;
export type ActivationDtype = (typeof activationDtypes)[number];

/** One for all links, or one for each, in order. */
export const activationDtype = z.union([
  z.enum(activationDtypes),
  z.array(z.enum(activationDtypes)).max(63),
]);
