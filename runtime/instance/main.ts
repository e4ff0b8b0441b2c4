import { rename, writeFile } from 'node:fs/promises';
import { AiosError, BlockError } from '../../sdk/errors.ts';
import type { InstanceBoot } from '../cluster/backend.ts';
import { type InstanceServer, serveInstance } from '../dataplane/index.ts';
import { readBoot } from './boot.ts';
import { createCodeHost } from './code-host.ts';
import { type Lease, openLease } from './lease.ts';
import { loadBlock } from './load-block.ts';
import { loadStageWorkload } from './stage-workload.ts';
import { processStartTime } from './start-time.ts';
import type { Workload } from './workload.ts';

/**
 * The process of one instance. Its standard input holds an InstanceBoot; its folder holds the workload's files, and there
 * it writes `instance.json` once its server listens. It ends by itself on SIGTERM, when asked to drain, and when no control
 * plane has attached for `orphanTimeoutMs`. The end of standard input means nothing: a control plane may be restarted.
 *
 * Exit codes: 0 asked to end or orphaned, 64 no usable boot document, 70 the workload failed.
 */
const exitCodes = { ended: 0, badBoot: 64, failed: 70 } as const;
const bootTimeoutMs = 10_000;
const noBoot = new AiosError(
  'SPEC_INVALID',
  `standard input did not end within ${bootTimeoutMs} ms; expected a boot document. Instances are started by \`aios up\`.`,
);
/** How long a control plane has to hear why the workload failed. */
const lastReportMs = 250;
/** A running step ends within this, or the process ends with it. */
const closeTimeoutMs = 30_000;

const log = (line: string) => void process.stdout.write(`${line.replaceAll('\n', '\\n')}\n`);
const logError = (error: unknown) => {
  const { code, message } = AiosError.from(error);
  process.stderr.write(`${code}: ${message.replaceAll('\n', '\\n')}\n`);
};

async function loadWorkload(boot: InstanceBoot): Promise<Workload> {
  const { instanceId, threads, workload } = boot;
  if (workload.type === 'stage') {
    return loadStageWorkload({
      instanceId,
      stage: workload.stage,
      threads,
      onFailure: (error) => void end(exitCodes.failed, error),
      log,
    });
  }
  if (workload.type === 'graph') {
    const { loadGraphWorkload } = await import('./graph-workload.ts');
    const onFailure = (error: Error) => void end(exitCodes.failed, error);
    return loadGraphWorkload({ instanceId, graph: workload.graph, threads, onFailure });
  }
  if (workload.type === 'container') {
    throw new BlockError(
      'INSTANCE_START_FAILED',
      'a process of this runtime runs no container images.',
    );
  }
  const emptyResidentBytes = process.memoryUsage.rss();
  const block = await loadBlock(workload.file, workload.entry);
  const { workload: _workload, secret: _secret, ...rest } = boot;
  return createCodeHost({ boot: rest, workload, block, emptyResidentBytes, log });
}

let lease: Lease | undefined;
let server: InstanceServer | undefined;
let loading: Promise<Workload> | undefined;
let ending = false;

/** Lets what computes end, then ends the process. Never while ONNX Runtime runs: that aborts. */
async function end(exitCode: number, error?: unknown): Promise<void> {
  if (ending) return;
  ending = true;
  if (error !== undefined) logError(error);
  setTimeout(() => process.exit(exitCode), closeTimeoutMs).unref();
  if (error === undefined) lease?.report('draining');
  else lease?.report('failed', { error: AiosError.from(error) });
  try {
    const workload = await loading;
    await workload?.close();
  } catch {
    // It never loaded, which `error` says, or fails again while closing.
  }
  if (error !== undefined) await new Promise((resolve) => setTimeout(resolve, lastReportMs));
  lease?.close();
  await server?.close();
  process.exit(exitCode);
}

async function drain(): Promise<void> {
  lease?.report('draining');
  try {
    await (await loading)?.drain();
  } catch {
    // It never loaded, and the process ends for that.
  }
  await end(exitCodes.ended);
}

async function announce(boot: InstanceBoot, address: string): Promise<void> {
  const { instanceId } = boot;
  const startTime = await processStartTime(process.pid);
  const text = JSON.stringify({ instanceId, pid: process.pid, startTime, address });
  // Whoever reads it sees all of it or nothing.
  await writeFile('instance.json.next', text, { mode: 0o600 });
  await rename('instance.json.next', 'instance.json');
}

async function start(boot: InstanceBoot): Promise<void> {
  let loaded: (workload: Workload) => void = () => {};
  let failed: (error: unknown) => void = () => {};
  loading = new Promise<Workload>((resolve, reject) => {
    loaded = resolve;
    failed = reject;
  });
  loading.catch(() => {});
  const workload = loading;

  lease = openLease({
    instanceId: boot.instanceId,
    orphanTimeoutMs: boot.orphanTimeoutMs,
    onDrain: () => void drain(),
    onOrphaned: () => {
      log(`no control plane has been heard of for ${boot.orphanTimeoutMs} ms: ending`);
      void end(exitCodes.ended);
    },
  });
  server = await serveInstance({
    instanceId: boot.instanceId,
    secret: boot.secret,
    handlers: {
      // Frames and packets that come while the workload loads wait for it, within their credit and deadline.
      onLink: (link) =>
        void workload.then(
          (ready) => ready.acceptLink(link),
          () => link.close(),
        ),
      onAttach: (attachment) => lease?.attach(attachment),
      infer: async function* (request) {
        yield* (await workload).infer(request);
      },
    },
  });
  await announce(boot, server.address);
  try {
    const ready = await loadWorkload(boot);
    loaded(ready);
    lease.report('ready', { workload: ready });
    log(`${boot.instanceId} is ready at ${server.address}`);
  } catch (error) {
    failed(error);
    await end(exitCodes.failed, error);
  }
}

process.on('SIGTERM', () => void end(exitCodes.ended));
process.on('SIGINT', () => void end(exitCodes.ended));
process.on('uncaughtException', (error) => void end(exitCodes.failed, error));
let hostsCode = false;
process.on('unhandledRejection', (error) => {
  // A promise that an author forgot must not end the block.
  if (hostsCode) logError(error);
  else void end(exitCodes.failed, error);
});

try {
  const timer = setTimeout(() => process.stdin.destroy(noBoot), bootTimeoutMs);
  const boot = await readBoot(process.stdin);
  clearTimeout(timer);
  hostsCode = boot.workload.type === 'code';
  await start(boot);
} catch (error) {
  logError(error);
  process.exit(server ? exitCodes.failed : exitCodes.badBoot);
}
