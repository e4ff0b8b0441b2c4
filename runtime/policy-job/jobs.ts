import { randomUUID } from 'node:crypto';
import type { PolicyJob } from '../../sdk/client/control.ts';
import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { Store } from '../store/index.ts';
import { type JobRequest, readJobRequest } from './request.ts';
import { type RunJobParts, runJob } from './run-job.ts';

export interface JobsOptions extends RunJobParts {
  readonly store: Store;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  readonly log?: (line: string) => void;
}

/** Policies that run once, each on its own, and what came of them. */
export interface Jobs {
  /** @throws {AiosError} SPEC_INVALID; BUSY - too many wait */
  submit(tenant: string, document: unknown): Promise<PolicyJob>;
  /** Newest first. */
  list(tenant: string): Promise<readonly PolicyJob[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, id: string): Promise<PolicyJob>;
  /** Of one that waits or runs; one that ended is removed. @throws {AiosError} NOT_FOUND */
  cancel(tenant: string, id: string): Promise<PolicyJob>;
  close(): Promise<void>;
}

interface StoredJob {
  readonly job: PolicyJob;
  readonly request: JobRequest;
}

export const jobLimits = {
  /** Of one tenant; more are told to come back. */
  waiting: 200,
  /** Jobs that run at once. */
  running: 4,
  /** Ended ones, of one tenant. */
  kept: 1000,
  keptMs: 7 * 24 * 3_600_000,
  /** As AIOS's jobs: a control plane that ended in the middle begins it again. */
  attempts: 4,
} as const;

const isOver = ({ status }: PolicyJob): boolean => status !== 'queued' && status !== 'running';

/** Opens the jobs of before: those that waited or ran begin anew, for a policy is pure. */
export async function openJobs(options: JobsOptions): Promise<Jobs> {
  const { store, clock = Date.now, log = () => undefined } = options;
  /** In order of submission, of every tenant. */
  const waiting: { readonly tenant: string; readonly id: string }[] = [];
  const running = new Map<string, AbortController>();
  const stopped = new Map<string, Promise<void>>();
  let closed = false;

  const keyOf = (tenant: string, id: string) => ({ tenant, kind: 'policy-job' as const, id });
  const nameOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);

  async function require(tenant: string, id: string): Promise<StoredJob> {
    const found = await store.get<StoredJob>(keyOf(tenant, id));
    if (found) return found.value;
    const hint = 'List those that are kept with: aios policy jobs';
    throw new AiosError('NOT_FOUND', `job '${id.slice(0, 100)}' does not exist. ${hint}`);
  }

  async function write(tenant: string, stored: StoredJob): Promise<PolicyJob> {
    await store.commit([{ type: 'put', ...keyOf(tenant, stored.job.id), value: stored }]);
    return stored.job;
  }

  async function all(tenant: string): Promise<readonly StoredJob[]> {
    const documents = await store.list<StoredJob>(tenant, 'policy-job');
    return documents
      .map(({ value }) => value)
      .sort((a, b) => b.job.createdAtMs - a.job.createdAtMs);
  }

  /** The oldest that ended go first. */
  async function forget(tenant: string): Promise<void> {
    const ended = (await all(tenant)).filter(({ job }) => isOver(job));
    const old = ended.filter(
      ({ job }, at) => at >= jobLimits.kept || (job.endedAtMs ?? 0) < clock() - jobLimits.keptMs,
    );
    if (old.length === 0) return;
    await store.commit(old.map(({ job }) => ({ type: 'delete', ...keyOf(tenant, job.id) })));
  }

  async function perform(tenant: string, id: string, controller: AbortController): Promise<void> {
    const { job, request } = await require(tenant, id);
    if (isOver(job)) return;
    const attempts = job.attempts + 1;
    const begun: PolicyJob = { ...job, status: 'running', startedAtMs: clock(), attempts };
    await write(tenant, { job: begun, request });
    const ended = (end: Partial<PolicyJob>) =>
      write(tenant, { job: { ...begun, endedAtMs: clock(), ...end }, request });
    try {
      const { output, logs } = await runJob(options, tenant, request, controller.signal);
      await ended({ status: 'completed', output, logs });
    } catch (fault) {
      const { code, message, details } = AiosError.from(fault);
      // What this control plane's end broke off begins anew with the next.
      if (closed) return;
      const logs = (details.logs as readonly string[] | undefined) ?? [];
      const status = code === 'CANCELLED' ? 'cancelled' : 'failed';
      await ended({ status, error: { code, message }, logs });
    }
    await forget(tenant);
  }

  function advance(): void {
    while (!closed && running.size < jobLimits.running) {
      const next = waiting.shift();
      if (!next) return;
      const name = nameOf(next.tenant, next.id);
      const controller = new AbortController();
      running.set(name, controller);
      const done = perform(next.tenant, next.id, controller)
        .catch((fault: unknown) => log(`job '${next.id}': ${AiosError.from(fault).message}`))
        .then(() => {
          running.delete(name);
          stopped.delete(name);
          advance();
        });
      stopped.set(name, done);
    }
  }

  for (const tenant of await store.tenants()) {
    const left = (await all(tenant)).filter(({ job }) => !isOver(job)).reverse();
    for (const { job, request } of left) {
      if (job.attempts < jobLimits.attempts) {
        waiting.push({ tenant, id: job.id });
        continue;
      }
      const message = `was broken off ${job.attempts} times by the end of the control plane.`;
      const error = { code: 'CLOSED', message: `job '${job.id}' ${message}` };
      await write(tenant, {
        job: { ...job, status: 'failed', endedAtMs: clock(), error },
        request,
      });
    }
  }
  advance();

  return {
    async submit(tenant, document) {
      const request = readJobRequest(document);
      if (waiting.filter((one) => one.tenant === tenant).length >= jobLimits.waiting) {
        throw new PolicyError('BUSY', `${jobLimits.waiting} jobs wait already; retry later.`);
      }
      const job: PolicyJob = {
        ...{ id: `job-${randomUUID()}`, policyUri: request.policyRuleURI, status: 'queued' },
        ...{ createdAtMs: clock(), attempts: 0, logs: [] },
      };
      await write(tenant, { job, request });
      waiting.push({ tenant, id: job.id });
      advance();
      return job;
    },
    list: async (tenant) => (await all(tenant)).map(({ job }) => job),
    get: async (tenant, id) => (await require(tenant, id)).job,
    async cancel(tenant, id) {
      const { job, request } = await require(tenant, id);
      const name = nameOf(tenant, id);
      if (isOver(job)) {
        await store.commit([{ type: 'delete', ...keyOf(tenant, id) }]);
        return job;
      }
      const at = waiting.findIndex((one) => one.tenant === tenant && one.id === id);
      if (at >= 0) {
        waiting.splice(at, 1);
        const error = { code: 'CANCELLED', message: `job '${id}' was cancelled.` };
        return write(tenant, {
          job: { ...job, status: 'cancelled', endedAtMs: clock(), error },
          request,
        });
      }
      running.get(name)?.abort();
      await stopped.get(name);
      return (await require(tenant, id)).job;
    },
    async close() {
      closed = true;
      for (const controller of running.values()) controller.abort();
      await Promise.all(stopped.values());
    },
  };
}
