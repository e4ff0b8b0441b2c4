import { setImmediate as nextTurn } from 'node:timers/promises';
import { isSplitTaskOver, type SplitTask } from '../../sdk/client/split-task.ts';
import { documentKinds, type Store, type StoredText } from '../store/index.ts';

const hashes = /sha256:[0-9a-f]{64}/g;
/** Artifacts are rows themselves, named by their hashes; those mention nothing. */
const kinds = documentKinds.filter((kind) => kind !== 'artifact');
const historyKinds: ReadonlySet<string> = new Set(['decision', 'decision-part', 'split-task']);

export interface Mentions {
  /** Of the hashes asked about, those that no document mentions. Shrinks while documents come, until `stop`. */
  readonly unmentioned: ReadonlySet<string>;
  /** How many nothing but kept decisions and split tasks mention. */
  readonly inHistoryOnly: number;
  /** When the oldest split that is not over was asked for; it mentions its files when it is. Infinite: there is none. */
  readonly oldestSplitAtMs: number;
  stop(): void;
}

function unfinishedSince({ kind, text, createdAtMs }: StoredText): number {
  if (kind !== 'split-task') return Number.POSITIVE_INFINITY;
  const { task } = JSON.parse(text) as { readonly task?: SplitTask };
  return task && isSplitTaskOver(task) ? Number.POSITIVE_INFINITY : createdAtMs;
}

/**
 * Reads every document of every tenant, page by page, for hashes anywhere in it: whoever adds a field that names an
 * artifact has nothing to do here.
 *
 * @param asked - the hashes of interest; memory is for these and one page
 */
export async function findMentions(store: Store, asked: Iterable<string>): Promise<Mentions> {
  const unmentioned = new Set(asked);
  const notLive = new Set(unmentioned);
  let oldestSplitAtMs = Number.POSITIVE_INFINITY;
  function take(kind: string, text: string): void {
    for (const [hash] of text.matchAll(hashes)) {
      unmentioned.delete(hash);
      if (!historyKinds.has(kind)) notLive.delete(hash);
    }
  }
  // From before the first page: what is written behind the reader is heard of.
  const stop = store.watch(kinds, (change) => {
    if (change.type === 'delete') return;
    const { kind, id, value } = change.document;
    take(kind, `${id} ${JSON.stringify(value)}`);
  });
  try {
    let page = await store.page();
    for (let last = page.at(-1); last; last = page.at(-1)) {
      for (const row of page) {
        if (row.kind === 'artifact') continue;
        take(row.kind, `${row.id} ${row.text}`);
        oldestSplitAtMs = Math.min(oldestSplitAtMs, unfinishedSince(row));
      }
      await nextTurn();
      page = await store.page(last);
    }
  } catch (error) {
    stop();
    throw error;
  }
  return {
    ...{ unmentioned, oldestSplitAtMs, stop },
    inHistoryOnly: notLive.size - unmentioned.size,
  };
}
