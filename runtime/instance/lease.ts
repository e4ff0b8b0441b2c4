import type { BlockHealth } from '../../sdk/block.ts';
import type { AiosError } from '../../sdk/errors.ts';
import type { Attachment, InstanceSelfStatus } from '../dataplane/index.ts';
import type { Workload } from './workload.ts';

const reportMs = 1000;
const healthTimeoutMs = 5000;

export interface LeaseOptions {
  readonly instanceId: string;
  readonly orphanTimeoutMs: number;
  /** No control plane has been heard of for `orphanTimeoutMs`. Called once. */
  readonly onOrphaned: () => void;
  /** A control plane asked the instance to end after its current work. */
  readonly onDrain: () => void;
}

/** What holds an instance alive: control planes that attach and beat. In return they get its reports. */
export interface Lease {
  attach(attachment: Attachment): void;
  /** Sets what is reported, and reports it at once. */
  report(
    state: InstanceSelfStatus['state'],
    about?: { readonly workload?: Workload; readonly error?: AiosError },
  ): void;
  close(): void;
}

export function openLease(options: LeaseOptions): Lease {
  const { instanceId, orphanTimeoutMs, onOrphaned, onDrain } = options;
  const attachments = new Set<Attachment>();
  let state: InstanceSelfStatus['state'] = 'loading';
  let workload: Workload | undefined;
  let error: AiosError | undefined;
  let health: BlockHealth | undefined;
  let asking = false;
  // Counted in ticks of this process, not by a clock: while the process is stopped or an author's code holds its thread,
  // beats cannot be heard, and that is no fault of who sent them.
  const tickMs = Math.min(reportMs, orphanTimeoutMs / 4);
  let silentTicks = 0;

  const status = (): InstanceSelfStatus => ({
    instanceId,
    state,
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
    emptyResidentBytes: workload?.emptyResidentBytes ?? 0,
    residentBytes: process.memoryUsage.rss(),
    ...(health ? { health } : {}),
    ...(workload?.counters ? { counters: workload.counters() } : {}),
  });
  const publish = () => {
    if (attachments.size === 0) return;
    const spans = workload?.takeSpans?.() ?? [];
    const now = { ...status(), ...(spans.length > 0 ? { spans } : {}) };
    for (const attachment of attachments) attachment.report(now);
  };
  // Beside the reports: a health() that hangs must not hold them up.
  const askHealth = async () => {
    if (asking || !workload?.health) return;
    asking = true;
    health = await healthOf(workload.health());
    asking = false;
  };

  const reports = setInterval(() => {
    void askHealth();
    publish();
  }, reportMs);
  const watch = setInterval(() => {
    silentTicks += 1;
    if (silentTicks * tickMs < orphanTimeoutMs) return;
    clearInterval(watch);
    onOrphaned();
  }, tickMs);

  return {
    attach(attachment) {
      attachments.add(attachment);
      silentTicks = 0;
      attachment.onBeat(() => {
        silentTicks = 0;
      });
      attachment.onDrain(onDrain);
      attachment.onDown(() => attachments.delete(attachment));
      publish();
    },
    report(next, about = {}) {
      state = next;
      workload = about.workload ?? workload;
      error = about.error ?? error;
      publish();
    },
    close() {
      clearInterval(reports);
      clearInterval(watch);
    },
  };
}

/** An author's health() may hang or throw: both are an answer. */
async function healthOf(answer: Promise<BlockHealth>): Promise<BlockHealth> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<BlockHealth>((resolve) => {
    const reason = `health() did not answer within ${healthTimeoutMs} ms`;
    timer = setTimeout(() => resolve({ status: 'unhealthy', reason }), healthTimeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    return { status: 'unhealthy', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
