import type {
  ArtifactCount,
  ArtifactPruneRequest,
  ArtifactPruning,
  ArtifactUsage,
} from '../../sdk/client/artifact.ts';
import type { Store } from '../store/index.ts';
import type { Blob, Blobs } from './blobs.ts';
import { findMentions } from './mentions.ts';

const defaultOlderThanMs = 3_600_000;
/** Whoever was told so recently that a blob is there may refer to it, whatever age is asked for. */
const leastUnusedMs = 60_000;

/** How much is kept, and what of it goes. Artifacts are shared by all tenants, so this is about those of all. */
export interface ArtifactUpkeep {
  usage(): Promise<ArtifactUsage>;
  /** Removes blobs that no document mentions, and uploads that were announced and never came. */
  prune(request?: ArtifactPruneRequest): Promise<ArtifactPruning>;
}

export interface ArtifactUpkeepOptions {
  readonly blobs: Blobs;
  readonly store: Store;
  /** Under which documents are checked and stored: none comes to mention what is being removed. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  readonly now?: () => number;
}

class Count implements ArtifactCount {
  artifacts = 0;
  sizeBytes = 0;
  sharedBytes = 0;

  add({ sizeBytes, isShared }: Blob): void {
    this.artifacts += 1;
    this.sizeBytes += sizeBytes;
    if (isShared) this.sharedBytes += sizeBytes;
  }
}

async function all(hashes: AsyncIterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const hash of hashes) found.push(hash);
  return found;
}

export function createArtifactUpkeep(options: ArtifactUpkeepOptions): ArtifactUpkeep {
  const { blobs, store, exclusive, now = Date.now } = options;

  return {
    async usage() {
      const hashes = await all(blobs.hashes());
      const { unmentioned, inHistoryOnly, stop } = await findMentions(store, hashes);
      try {
        const stored = new Count();
        const unused = new Count();
        for (const hash of hashes) {
          const blob = await blobs.look(hash);
          if (!blob) continue;
          stored.add(blob);
          if (unmentioned.has(hash)) unused.add(blob);
        }
        return { stored, unmentioned: unused, inHistoryOnly };
      } finally {
        stop();
      }
    },
    async prune({ olderThanMs = defaultOlderThanMs, dryRun = false } = {}) {
      const startedAtMs = now();
      const uploadsExpired = dryRun ? 0 : await blobs.expireUploads();
      const { unmentioned, oldestSplitAtMs, inHistoryOnly, stop } = await findMentions(
        store,
        await all(blobs.hashes()),
      );
      const since = {
        beforeMs: Math.min(startedAtMs - olderThanMs, oldestSplitAtMs),
        unusedSinceMs: Math.min(
          startedAtMs - Math.max(olderThanMs, leastUnusedMs),
          oldestSplitAtMs,
        ),
      };
      const removed = new Count();
      const recent = new Count();
      try {
        for (const hash of [...unmentioned]) {
          const left = await blobs.look(hash);
          const gone = await exclusive(async () => {
            // A document may have come to mention it since it was found.
            if (!unmentioned.has(hash)) return undefined;
            return dryRun ? blobs.removable(hash, since) : blobs.remove(hash, since);
          });
          if (gone) removed.add(gone);
          else if (left && unmentioned.has(hash)) recent.add(left);
        }
      } finally {
        stop();
      }
      return { dryRun, removed, recent, inHistoryOnly, uploadsExpired };
    },
  };
}
