import type { BlockHealth } from '../../sdk/block.ts';
import type { ShardCounters } from '../../sdk/client/api.ts';
import type { FlowLink, InstanceHandlers, ShardSpan } from '../dataplane/index.ts';

/** What an instance hosts, loaded: a stage of a model or an author's block. */
export interface Workload {
  /** Resident bytes of this process before the workload was loaded. */
  readonly emptyResidentBytes: number;
  /** A peer opened its stream of frames. */
  acceptLink(link: FlowLink): void;
  readonly infer: InstanceHandlers['infer'];
  counters?(): ShardCounters;
  /** Traced sessions that are over since the last call. */
  takeSpans?(): readonly ShardSpan[];
  health?(): Promise<BlockHealth>;
  /** Refuses new work; resolves when the work at hand is done. */
  drain(): Promise<void>;
  /** Ends the work at hand with errors and frees everything; a step that runs is let end. */
  close(): Promise<void>;
}
