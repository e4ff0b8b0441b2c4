import { getEventListeners } from 'node:events';

/** How many others wait for it to abort: listeners, and signals that `AbortSignal.any` made of it. */
export function waitersOf(signal: AbortSignal): number {
  const kept = Object.getOwnPropertySymbols(signal)
    .filter(({ description }) => description === 'kDependantSignals')
    .map((symbol) => (signal as unknown as Record<symbol, Set<unknown> | undefined>)[symbol]);
  const made = kept.reduce((sum, signals) => sum + (signals?.size ?? 0), 0);
  return getEventListeners(signal, 'abort').length + made;
}
