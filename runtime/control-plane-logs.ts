import { AiosError } from '../sdk/errors.ts';
import type { BlockManager } from './block/index.ts';
import { linkSignals } from './linked-signal.ts';

interface LogOptions {
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** @throws {AiosError} NOT_FOUND - also where it is another tenant's */
export async function* instanceLogs(request: {
  readonly tenant: string;
  readonly instanceId: string;
  readonly blocks: BlockManager;
  readonly options: LogOptions;
}): AsyncIterable<string> {
  const { tenant, instanceId, blocks, options } = request;
  if (!blocks.hadInstance(tenant, instanceId)) {
    throw new AiosError(
      'NOT_FOUND',
      `Instance '${instanceId}' does not exist, or ended long ago. List instances with: aios get blocks`,
      { details: { instanceId } },
    );
  }
  yield* blocks.backendOfInstance(instanceId).logs(instanceId, options);
}

/**
 * Lines of all of a block's instances as they come, each after its instance's name where there are several. With `follow`,
 * instances that are started meanwhile join.
 */
export async function* blockLogs(request: {
  readonly tenant: string;
  readonly blockId: string;
  readonly blocks: BlockManager;
  readonly options: LogOptions;
}): AsyncIterable<string> {
  const { tenant, blockId, blocks, options } = request;
  const ended = new AbortController();
  const either = linkSignals(options.signal, ended.signal);
  const { signal } = either;
  const waiting: { readonly line: string; readonly taken: () => void }[] = [];
  const joined = new Set<string>();
  let open = 0;
  let wake: () => void = () => undefined;

  /** Waits until the line was taken, so that the reader sets the pace. */
  const offer = (line: string): Promise<void> =>
    new Promise((taken) => {
      waiting.push({ line, taken });
      wake();
    });

  async function read(instanceId: string, prefix: string): Promise<void> {
    open += 1;
    try {
      const lines = blocks.backendOfInstance(instanceId).logs(instanceId, { ...options, signal });
      for await (const line of lines) await offer(prefix + line);
    } catch {
      // It has written nothing yet, or its log was removed.
    } finally {
      open -= 1;
      wake();
    }
  }

  async function join(): Promise<void> {
    const { instances } = await blocks.status(tenant, blockId);
    for (const { id } of instances) {
      if (joined.has(id)) continue;
      joined.add(id);
      void read(id, joined.size > 1 || instances.length > 1 || options.follow ? `${id} | ` : '');
    }
  }

  let stop: () => void = () => undefined;
  try {
    await join();
    stop = blocks.onChange((owner, id) => {
      if (options.follow && owner === tenant && id === blockId)
        void join().catch(() => ended.abort());
    });
    signal.addEventListener('abort', () => wake(), { once: true });
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next) {
        yield next.line;
        next.taken();
        continue;
      }
      if (open === 0 && !options.follow) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stop();
    ended.abort();
    either.release();
    for (const { taken } of waiting.splice(0)) taken();
  }
}
