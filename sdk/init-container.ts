import { AiosError } from './errors.ts';
import type { Json } from './packet.ts';

/** What each stage of an init container is given. */
export interface InitContext {
  readonly blockId: string;
  readonly clusterId: string;
  readonly mode: 'create' | 'remove';
  readonly initData: Readonly<Record<string, unknown>>;
  /** What `resourceAllocator` granted. */
  readonly allocation: Json;
  readonly signal: AbortSignal;
  /** Fraction done, 0 to 1, and a word for people. */
  readonly progress: (fraction: number, message?: string) => void;
}

/** Prepares, and later removes, a third-party system before its block starts. Each stage is retried and resumable. */
export interface InitContainer {
  readonly type: 'init-container';
  /** Checks and claims what is needed. Its result is given to `main`. */
  begin(context: InitContext): Json | Promise<Json>;
  main(context: InitContext, begun: Json): Json | Promise<Json>;
  /** Its result becomes `initData.initContainer` of the block. */
  finish(context: InitContext, done: Json): Json | Promise<Json>;
  /** Undoes what was done when a stage fails for good. */
  rollback?(context: InitContext): void | Promise<void>;
}

/** @throws {AiosError} SPEC_INVALID - a stage is missing */
export function defineInitContainer(definition: Omit<InitContainer, 'type'>): InitContainer {
  for (const stage of ['begin', 'main', 'finish'] as const) {
    if (typeof definition[stage] !== 'function') {
      throw new AiosError(
        'SPEC_INVALID',
        `an init container needs the function ${stage}(context).`,
      );
    }
  }
  return Object.freeze({ ...definition, type: 'init-container' as const });
}
