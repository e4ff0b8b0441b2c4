import { randomUUID } from 'node:crypto';
import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { PolicyJob } from '../../sdk/client/control.ts';
import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { Store } from '../store/index.ts';
import { createKept, keptLimits } from './kept.ts';
import { createQueue } from './queue.ts';
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
  /** @throws {AiosError} SPEC_INVALID; BUSY - too many wait; CLOSED */
  submit(tenant: string, document: unknown): Promise<PolicyJob>;
  /** Newest first, without outputs and logs: {@link Jobs.get} gives them. */
  list(tenant: string): Promise<readonly PolicyJob[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, id: string): Promise<PolicyJob>;
  /** Of one that waits or runs; one that ended is removed. @throws {AiosError} NOT_FOUND */
  cancel(tenant: string, id: string): Promise<PolicyJob>;
  close(): Promise<void>;
}

interface StoredJob {
  readonly job: PolicyJob;
  /** Until it ended. */
  readonly request?: JobRequest;
}

interface Running {
  readonly tenant: string;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

export const jobLimits = {
  ...keptLimits,
  /** Of one tenant; more are told to come back. */
  waiting: 200,
  /** Jobs that run at once. */
  running: 4,
  /** As AIOS's jobs: a control plane that ended in the middle begins it again. */
  attempts: 4,
} as const;

const isOver = ({ status }: PolicyJob): boolean => status !== 'queued' && status !== 'running';

/** What it said before it failed. */
function logsOf({ details }: AiosError): readonly string[] {
  const { evaluation, logs } = details as Partial<Pick<PolicyEvaluation, 'logs'>> & {
    readonly evaluation?: PolicyEvaluation;
  };
  return evaluation?.logs ?? logs ?? [];
}

/** Opens the jobs of before: those that waited or ran begin anew, for a policy is pure. */
export async function openJobs(options: JobsOptions): Promise<Jobs> {
  const { store, clock = Date.now, log = () => undefined } = options;
  const queue = createQueue();
  const kept = createKept();
  const running = new Map<string, Running>();
  /** Of a tenant: being written, not waiting yet. */
  const entering = new Map<string, number>();
  let closed = false;

  const keyOf = (tenant: string, id: string) => ({ tenant, kind: 'policy-job' as const, id });
  const nameOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);
  const atWork = (tenant: string): number =>
    [...running.values()].filter((one) => one.tenant === tenant).length;

  async function tidy(tenant: string): Promise<void> {
    const ids = kept.excess(tenant, clock());
    if (ids.length === 0) return;
    await store.commit(ids.map((id) => ({ type: 'delete', ...keyOf(tenant, id) })));
    for (const id of ids) kept.drop(tenant, id);
  }

  async function require(tenant: string, id: string): Promise<StoredJob> {
    await tidy(tenant);
    const found = await store.get<StoredJob>(keyOf(tenant, id));
    if (found) return found.value;
    const hint = 'List those that are kept with: aios policy jobs';
    throw new AiosError('NOT_FOUND', `job '${id.slice(0, 100)}' does not exist. ${hint}`);
  }

  async function write(tenant: string, stored: StoredJob): Promise<PolicyJob> {
    await store.commit([{ type: 'put', ...keyOf(tenant, stored.job.id), value: stored }]);
    return stored.job;
  }

  async function end(tenant: string, job: PolicyJob, how: Partial<PolicyJob>): Promise<PolicyJob> {
    const ended = await write(tenant, { job: { ...job, endedAtMs: clock(), ...how } });
    kept.add(tenant, ended);
    await tidy(tenant);
    return ended;
  }

  async function perform(tenant: string, id: string, signal: AbortSignal): Promise<void> {
    const { job, request } = await require(tenant, id);
    if (isOver(job) || !request) return;
    const attempts = job.attempts + 1;
    const begun: PolicyJob = { ...job, status: 'running', startedAtMs: clock(), attempts };
    await write(tenant, { job: begun, request });
    let how: Partial<PolicyJob>;
    try {
      how = { status: 'completed', ...(await runJob(options, tenant, request, signal)) };
    } catch (thrown) {
      const fault = AiosError.from(thrown);
      // What this control plane's end broke off begins anew with the next.
      if (closed) return;
      const { code, message } = fault;
      const status = code === 'CANCELLED' ? 'cancelled' : 'failed';
      how = { status, error: { code, message }, logs: logsOf(fault) };
    }
    await end(tenant, begun, how);
  }

  function advance(): void {
    while (!closed && running.size < jobLimits.running) {
      const next = queue.next(atWork);
      if (!next) return;
      const { tenant, id } = next;
      const name = nameOf(tenant, id);
      const controller = new AbortController();
      const done = perform(tenant, id, controller.signal)
        .catch((fault: unknown) => log(`job '${id}': ${AiosError.from(fault).message}`))
        .then(() => {
          running.delete(name);
          advance();
        });
      running.set(name, { tenant, controller, done });
    }
  }

  for (const tenant of await store.tenants()) {
    const documents = await store.list<StoredJob>(tenant, 'policy-job');
    const all = documents.map(({ value }) => value.job);
    const ended = all.filter(isOver).sort((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0));
    for (const job of ended) kept.add(tenant, job);
    await tidy(tenant);
    const left = all.filter((job) => !isOver(job)).sort((a, b) => a.createdAtMs - b.createdAtMs);
    for (const job of left) {
      if (job.attempts < jobLimits.attempts) {
        queue.add(tenant, job.id);
        continue;
      }
      const message = `job '${job.id}' was broken off ${job.attempts} times by the end of the control plane.`;
      await end(tenant, job, { status: 'failed', error: { code: 'CLOSED', message } });
    }
  }
  advance();

  return {
    async submit(tenant, document) {
      if (closed) throw new AiosError('CLOSED', 'this control plane ends; submit to the next.');
      const request = readJobRequest(document);
      const written = entering.get(tenant) ?? 0;
      if (queue.sizeOf(tenant) + written >= jobLimits.waiting) {
        throw new PolicyError('BUSY', `${jobLimits.waiting} jobs wait already; retry later.`);
      }
      const job: PolicyJob = {
        ...{ id: `job-${randomUUID()}`, policyUri: request.policyRuleURI, status: 'queued' },
        ...{ createdAtMs: clock(), attempts: 0, logs: [] },
      };
      entering.set(tenant, written + 1);
      try {
        await write(tenant, { job, request });
        queue.add(tenant, job.id);
      } finally {
        const others = (entering.get(tenant) ?? 1) - 1;
        if (others > 0) entering.set(tenant, others);
        else entering.delete(tenant);
      }
      advance();
      return job;
    },
    async list(tenant) {
      await tidy(tenant);
      const documents = await store.list<StoredJob>(tenant, 'policy-job');
      return documents
        .map(({ value: { job } }) => {
          const { output: _, ...rest } = job;
          return { ...rest, logs: [] };
        })
        .sort((a, b) => b.createdAtMs - a.createdAtMs);
    },
    get: async (tenant, id) => (await require(tenant, id)).job,
    async cancel(tenant, id) {
      const { job } = await require(tenant, id);
      if (isOver(job)) {
        await store.commit([{ type: 'delete', ...keyOf(tenant, id) }]);
        kept.drop(tenant, id);
        return job;
      }
      const runs = queue.remove(tenant, id) ? undefined : running.get(nameOf(tenant, id));
      runs?.controller.abort();
      await runs?.done;
      const { job: latest } = await require(tenant, id);
      if (isOver(latest)) return latest;
      const error = { code: 'CANCELLED', message: `job '${id}' was cancelled.` };
      return end(tenant, latest, { status: 'cancelled', error });
    },
    async close() {
      closed = true;
      for (const { controller } of running.values()) controller.abort();
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
