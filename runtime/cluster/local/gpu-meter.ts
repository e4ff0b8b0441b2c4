import { execFile } from 'node:child_process';
import type { GpuMeasurement } from '../../../sdk/cluster.ts';
import { gpuColumns, parseGpuCsv } from './gpu-csv.ts';

const limitMs = 2000;
const maxAnswerBytes = 64 * 1024;
/** A measurement must not wait for a slow driver, except the first, so that devices are known from the start. */
const firstWaitMs = 800;

export interface GpuMeterOptions {
  /** @default 'nvidia-smi', as the search path finds it */
  readonly command?: string;
  /** The tool is asked at most once in this time. @default 2000 */
  readonly intervalMs?: number;
  /** Monotonic milliseconds. @default performance.now */
  readonly clock?: () => number;
  /** Told once of each way in which it fails. @default process.emitWarning */
  readonly warn?: (message: string) => void;
}

export interface GpuMeter {
  /** The machine's devices as last read; undefined where nothing reads them, or not any more. Never throws. */
  read(): Promise<readonly GpuMeasurement[] | undefined>;
}

function ask(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      command,
      [`--query-gpu=${gpuColumns.join(',')}`, '--format=csv,noheader,nounits'],
      { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: maxAnswerBytes, windowsHide: true },
      (error, stdout) => (error ? reject(error) : resolve(stdout)),
    );
  });
}

/** Reads NVIDIA devices through their driver's own tool, where there is one. */
export function createGpuMeter(options: GpuMeterOptions = {}): GpuMeter {
  const { command = 'nvidia-smi', intervalMs = 2000, clock = () => performance.now() } = options;
  const warn = options.warn ?? ((message: string) => process.emitWarning(message));
  const warned = new Set<string>();
  let last: { readonly atMs: number; readonly gpus: readonly GpuMeasurement[] } | undefined;
  let running: Promise<void> | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let answered = false;
  let missing = false;

  async function refresh(): Promise<void> {
    askedAtMs = clock();
    try {
      const gpus = parseGpuCsv(await ask(command));
      last = { atMs: clock(), gpus };
    } catch (error) {
      const { code, killed, message } = error as NodeJS.ErrnoException & { killed?: boolean };
      // No driver here: that is how most machines are.
      missing = code === 'ENOENT';
      const reason = killed ? `it took longer than ${limitMs} ms` : message.slice(0, 300);
      const kind = killed ? 'slow' : String(code ?? 'malformed');
      if (!missing && !warned.has(kind)) {
        warned.add(kind);
        warn(`GPUs could not be measured with ${command}: ${reason}`);
      }
    } finally {
      answered = true;
    }
  }

  return {
    async read() {
      if (missing) return undefined;
      // The measurements come at the same pace: a little early is in time.
      if (!running && clock() - askedAtMs >= intervalMs * 0.9) {
        running = refresh().finally(() => {
          running = undefined;
        });
      }
      if (!answered) {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((resolve) => {
          timer = setTimeout(resolve, firstWaitMs);
        });
        await Promise.race([running, late]);
        clearTimeout(timer);
      }
      return last && clock() - last.atMs <= Math.max(10_000, 3 * intervalMs)
        ? last.gpus
        : undefined;
    },
  };
}
