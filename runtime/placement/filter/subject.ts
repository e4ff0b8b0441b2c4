import type { Misfit } from '../../../sdk/fit.ts';
import type { Batch } from './batch.ts';

/**
 * What a value of a condition must be: `bytes` also takes text such as `'2Gi'`, `truth` is true or false, `any` is
 * compared with whatever is found, `things` can only be counted.
 */
export type VariableType = 'number' | 'bytes' | 'text' | 'truth' | 'any' | 'things';

/** NaN where it is not known (yet): no comparison but `!=` holds for it, and arithmetic stays fast. */
export type NumberReader<S> = (subject: S) => number;

/** Of the known values of a list of numbers; of none, `min` and `max` are infinite the wrong way round. */
export interface Stats {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

interface Common<S> {
  readonly type: VariableType;
  /** For people, and for comparisons that have no faster way. Nothing where it is not known. */
  readonly read: (subject: S) => unknown;
}

export interface ScalarVariable<S> extends Common<S> {
  readonly list: false;
  /** Of every variable that is a number. */
  readonly number?: NumberReader<S>;
}

/** A condition holds when it holds for any element; `!=` when no element equals; aggregates look at all of them. */
export interface ListVariable<S> extends Common<S> {
  readonly list: true;
  readonly some: (subject: S, test: (element: unknown) => boolean) => boolean;
  readonly size: (subject: S) => number;
  /** Of every list of numbers. */
  readonly stats?: (subject: S) => Stats;
}

export type Variable<S> = ScalarVariable<S> | ListVariable<S>;

/** The names that conditions on one kind of subject may use. */
export interface Vocabulary<S> {
  /** `'clusters'`, for error texts. */
  readonly what: string;
  /** A few names, for error texts. */
  readonly examples: string;
  readonly listExamples: string;
  readonly names: readonly string[];
  /** @returns nothing for a name that means nothing */
  find(name: string): Variable<S> | undefined;
}

/** A compiled condition. */
export interface Condition<S> {
  /** As the document wrote it, on one line. */
  readonly text: string;
  /** Nothing when it holds; allocates only when it does not. */
  readonly test: (subject: S) => Misfit | undefined;
  /** The same without a reason: allocates nothing, writes no text. */
  readonly passes: (subject: S) => boolean;
  /** Of the 32 things of a batch from `32 × word` on, those of `among` for which it holds: a bit each. */
  readonly mask: (batch: Batch<S>, word: number, among: number) => number;
}
