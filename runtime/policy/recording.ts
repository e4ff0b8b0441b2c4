import type { PolicyState } from '../../sdk/hooks.ts';

/** What an evaluation was given, as it was: frozen. */
export interface Recording {
  readonly input: unknown;
  readonly state: PolicyState;
  /** The decision that it became part of, once it is written down. */
  readonly decision: { id?: string };
}

// Symbols: they go where a record is copied to, and JSON knows nothing of them.
const recording = Symbol('aios.recording');
const context = Symbol('aios.context');

interface Carrier {
  [recording]?: Recording;
  [context]?: unknown;
}

export function attachRecording<T extends object>(evaluation: T, given: Recording): T {
  (evaluation as Carrier)[recording] = given;
  return evaluation;
}

/** What the evaluation was given; nothing for one that was read from the store. */
export const recordingOf = (evaluation: object): Recording | undefined =>
  (evaluation as Carrier)[recording];

/** Keeps beside a decision what the platform itself decided by, so that `explain --all` can go through it again. */
export function recordContext<T extends object>(decision: T, given: unknown): T {
  (decision as Carrier)[context] = given;
  return decision;
}

export const contextOf = (decision: object): unknown => (decision as Carrier)[context];
