import type { Change, DocumentKind } from './store.ts';

const kindOf = (change: Change): DocumentKind =>
  change.type === 'put' ? change.document.kind : change.key.kind;

export interface ChangeFeed {
  publish(changes: readonly Change[]): void;
  subscribe(kinds: readonly DocumentKind[], listener: (change: Change) => void): () => void;
  close(): void;
}

/** Delivers changes in the order of commits, after the committer's own step and never into it. */
export function createChangeFeed(): ChangeFeed {
  const listeners = new Set<(change: Change) => void>();
  const queue: Change[] = [];
  let scheduled = false;

  function deliver(): void {
    scheduled = false;
    for (const change of queue.splice(0)) {
      for (const listener of [...listeners]) {
        // A listener that an earlier one unsubscribed hears nothing more.
        if (listeners.has(listener)) listener(change);
      }
    }
  }

  return {
    publish(changes) {
      queue.push(...changes);
      if (scheduled) return;
      scheduled = true;
      queueMicrotask(deliver);
    },
    subscribe(kinds, listener) {
      const wanted = new Set(kinds);
      const guarded = (change: Change): void => {
        if (!wanted.has(kindOf(change))) return;
        try {
          listener(change);
        } catch (error) {
          // A listener's own fault must not silence the ones after it.
          process.emitWarning(error instanceof Error ? error : String(error));
        }
      };
      listeners.add(guarded);
      return () => listeners.delete(guarded);
    },
    close: () => listeners.clear(),
  };
}
