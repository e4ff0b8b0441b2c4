import type { PolicyHost } from '../policy/host.ts';
import type { Documents } from '../registry/index.ts';
import type { OnFailure } from './heal-order.ts';
import type { SpanListener } from './instance.ts';
import type { PlacingContext } from './place-instances.ts';

/** What a reconciler has of the rest of the system. */
export interface ReconcilerContext extends PlacingContext {
  readonly documents: Documents;
  readonly policies: Pick<PolicyHost, 'forget'>;
  readonly orphanTimeoutMs: number;
  readonly log: (line: string) => void;
  /** Something that others can see has changed. */
  readonly onChange: (tenant: string, blockId: string) => void;
  /** What a failure policy says of the block's failures in a row; nothing: the platform's own backoff. */
  readonly onFailure?: OnFailure;
  /** Capacity was given back: blocks that wait for some should try again. */
  readonly onCapacity: () => void;
  /** Told of traced sessions that instances report. */
  readonly onSpans?: SpanListener | undefined;
}
