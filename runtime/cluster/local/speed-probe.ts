import { Worker } from 'node:worker_threads';
import { entryPath } from '../../entry.ts';

/** How fast this machine goes through weights, tried while it has nothing else to do: for where no shard has run yet. */
export interface SpeedProbe {
  /** @param idle - whether it may be tried now @returns bytes a second; undefined until it was tried */
  read(idle: boolean): number | undefined;
}

export interface SpeedProbeOptions {
  /** Milliseconds that only grow. @default performance.now */
  readonly now?: () => number;
  /** Before the first: a control plane that starts has other things to do. @default 5000 */
  readonly delayMs?: number;
  /** Between two. @default 600000 */
  readonly restMs?: number;
  /** @returns bytes a second. @default a thread that takes at most 100 ms */
  readonly run?: () => Promise<number | undefined>;
}

/** One core of it, as a shard with one thread would. */
function runWorker(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const worker = new Worker(entryPath('runtime/cluster/local/speed-probe-worker.js'), {
      name: 'speed-probe',
      execArgv: [],
    });
    worker.unref();
    worker.once('message', (speed: number | undefined) => resolve(speed));
    worker.once('error', () => resolve(undefined));
    worker.once('exit', () => resolve(undefined));
  });
}

export function createSpeedProbe(options: SpeedProbeOptions = {}): SpeedProbe {
  const {
    now = () => performance.now(),
    delayMs = 5000,
    restMs = 600_000,
    run = runWorker,
  } = options;
  let dueAtMs = now() + delayMs;
  let running = false;
  let speed: number | undefined;

  async function probe(): Promise<void> {
    running = true;
    speed = (await run()) ?? speed;
    running = false;
    dueAtMs = now() + restMs;
  }

  return {
    read(idle) {
      if (idle && !running && now() >= dueAtMs) void probe();
      return speed;
    },
  };
}
