import { createPlacement, type Placement } from '../placement/index.ts';
import type { Store } from '../store/index.ts';
import { EventQueue } from './event-queue.ts';
import { largestOf, SimulatedNetwork } from './network.ts';
import { openHost, type Policies } from './policies.ts';
import { createStream, draw } from './random.ts';
import { meanOf, quantile, type Sample, type VariantReport } from './report.ts';
import { clustersOf, type JobTemplate, pickJob, type Scenario } from './scenario.ts';

const minuteMs = 60_000;
const tenant = 'default';
const samplesOfAll = 200;
const measureMinutes = 5;
/** Of those that wait, how many are looked at when something became free. */
const retriedAtOnce = 10;

interface Job {
  readonly id: string;
  readonly template: JobTemplate;
  readonly arrivedAtMs: number;
  readonly runMs: number;
  /** Instance → where it runs. */
  places: readonly {
    readonly instanceId: string;
    readonly clusterId: string;
    readonly nodeId: string;
  }[];
  placements: number;
}

type Event =
  | { readonly type: 'arrival' }
  | { readonly type: 'departure'; readonly job: Job; readonly placement: number }
  | { readonly type: 'failure' | 'repair'; readonly clusterId: string; readonly nodeId: string }
  | { readonly type: 'sample' | 'measure' };

export interface RunOptions extends Policies {
  readonly signal?: AbortSignal | undefined;
  /** 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** One variant of a scenario, event by event on a clock of its own, through the real placement. */
export class VariantRun {
  readonly #scenario: Scenario;
  readonly #variant: Scenario['variants'][number];
  readonly #options: RunOptions;
  readonly #network: SimulatedNetwork;
  readonly #placement: Placement;
  readonly #close: () => Promise<void>;
  readonly #events = new EventQueue<Event>();
  readonly #waiting = new Set<Job>();
  readonly #running = new Set<Job>();
  readonly #samples: Sample[] = [];
  readonly #waitsMinutes: number[] = [];
  readonly #decisionsMs: number[] = [];
  readonly #refusals = new Map<string, number>();
  readonly #counts = { arrivals: 0, placed: 0, refused: 0, displaced: 0 };
  #nowMs = 0;

  /** @param store - of its own: policies keep their states there */
  constructor(
    scenario: Scenario,
    variant: Scenario['variants'][number],
    options: RunOptions,
    store: Store,
  ) {
    this.#scenario = scenario;
    this.#variant = variant;
    this.#options = options;
    const { seed } = scenario;
    this.#network = new SimulatedNetwork(clustersOf(scenario), seed);
    const clock = (): number => this.#nowMs;
    const seeds = createStream(seed, 'policies');
    const host = openHost(options, store, {
      clock,
      seed: () => Math.floor(seeds() * 2 ** 32),
    });
    this.#close = () => host.close();
    this.#placement = createPlacement({
      host,
      clock,
      inventory: () => ({ clusters: this.#network.views(), revision: this.#network.revision }),
    });
    for (const spec of this.#network.specs) this.#ledger.setCluster(spec);
  }

  get #ledger() {
    return this.#placement.ledgerOf(tenant);
  }

  async run(): Promise<VariantReport> {
    const { minutes, seed } = this.#scenario;
    const endMs = minutes * minuteMs;
    const arrivals = createStream(seed, 'arrivals');
    const templates = createStream(seed, 'templates');
    const durations = createStream(seed, 'durations');
    const failures = createStream(seed, 'failures');
    this.#network.measure(0);
    this.#events.add(0, { type: 'sample' });
    this.#events.add(measureMinutes * minuteMs, { type: 'measure' });
    this.#nextArrival(arrivals);
    this.#plantFailures(failures);
    try {
      for (let next = this.#events.next(); next && next.atMs <= endMs; next = this.#events.next()) {
        this.#options.signal?.throwIfAborted();
        this.#nowMs = next.atMs;
        const { event } = next;
        if (event.type === 'arrival') {
          this.#nextArrival(arrivals);
          await this.#arrive(pickJob(this.#scenario, templates()), durations);
        } else if (event.type === 'departure') await this.#depart(event.job, event.placement);
        else if (event.type === 'failure')
          await this.#fail(event.clusterId, event.nodeId, failures);
        else if (event.type === 'repair') {
          this.#network.setHealthy(event.clusterId, event.nodeId, true);
          await this.#retry();
        } else if (event.type === 'measure') {
          this.#network.measure(this.#nowMs);
          this.#events.add(this.#nowMs + measureMinutes * minuteMs, { type: 'measure' });
        } else {
          this.#sample();
          this.#options.onProgress?.(this.#nowMs / endMs);
          this.#events.add(this.#nowMs + endMs / samplesOfAll, { type: 'sample' });
        }
      }
      return this.#report();
    } finally {
      await this.#close();
    }
  }

  #nextArrival(random: () => number): void {
    const { perMinute, wave, waveMinutes } = this.#scenario.arrivals;
    const phase = (2 * Math.PI * this.#nowMs) / (waveMinutes * minuteMs);
    const rate = perMinute * Math.max(0.01, 1 + wave * Math.sin(phase));
    this.#events.add(this.#nowMs + draw(random, minuteMs / rate), { type: 'arrival' });
  }

  #plantFailures(random: () => number): void {
    const { failures } = this.#scenario;
    if (!failures) return;
    for (const { id: clusterId, nodes } of this.#network.specs) {
      for (const { id: nodeId } of nodes) {
        const atMs = draw(random, failures.meanHoursBetween * 60 * minuteMs);
        this.#events.add(atMs, { type: 'failure', clusterId, nodeId });
      }
    }
  }

  async #arrive(template: JobTemplate, durations: () => number): Promise<void> {
    this.#counts.arrivals += 1;
    const job: Job = {
      ...{ id: `job-${this.#counts.arrivals}`, template, arrivedAtMs: this.#nowMs },
      ...{ runMs: draw(durations, template.meanMinutes * minuteMs), places: [], placements: 0 },
    };
    if (!(await this.#place(job))) this.#waiting.add(job);
  }

  async #place(job: Job): Promise<boolean> {
    const { template } = job;
    job.placements += 1;
    const startedMs = performance.now();
    const { decision, reservationId } = await this.#placement.place(
      {
        tenant,
        block: {
          ...{
            id: job.id,
            componentUri: 'simulated.job:1.0.0-stable',
            tenant,
            tags: [],
            instances: [],
          },
          ...{ minInstances: template.instances, maxInstances: template.instances },
          resources: template.resources,
          ...(template.priority === undefined ? {} : { priority: template.priority }),
          ...(template.placement ? { placement: template.placement } : {}),
        },
        policies: { ...template.policies, ...this.#variant.policies },
        instances: template.instances,
        instanceIds: Array.from(
          { length: template.instances },
          (_, at) => `${job.id}-${job.placements}-${at}`,
        ),
        reason: 'create',
      },
      { reserve: true },
    );
    this.#decisionsMs.push(performance.now() - startedMs);
    if (reservationId === undefined || !decision.plan) {
      for (const { refusedBy, count } of decision.candidateCounts?.refused ??
        decision.candidates.flatMap(({ refusedBy: by }) =>
          by ? [{ refusedBy: by, count: 1 }] : [],
        )) {
        this.#refusals.set(refusedBy, (this.#refusals.get(refusedBy) ?? 0) + count);
      }
      return false;
    }
    this.#ledger.commit(reservationId);
    const { clusterId, instances } = decision.plan;
    job.places = instances.map(({ instanceId, nodeId }) => ({ instanceId, clusterId, nodeId }));
    this.#running.add(job);
    this.#counts.placed += 1;
    this.#waitsMinutes.push((this.#nowMs - job.arrivedAtMs) / minuteMs);
    const placement = job.placements;
    this.#events.add(this.#nowMs + job.runMs, { type: 'departure', job, placement });
    return true;
  }

  #release(job: Job): void {
    this.#running.delete(job);
    for (const { instanceId } of job.places) this.#ledger.release(instanceId);
    job.places = [];
  }

  async #depart(job: Job, placement: number): Promise<void> {
    // It may have lost its node and been placed again since.
    if (job.placements !== placement || !this.#running.has(job)) return;
    this.#release(job);
    await this.#retry();
  }

  async #fail(clusterId: string, nodeId: string, random: () => number): Promise<void> {
    const { failures } = this.#scenario;
    if (!failures) return;
    this.#network.setHealthy(clusterId, nodeId, false);
    const repairedMs = this.#nowMs + failures.repairMinutes * minuteMs;
    this.#events.add(repairedMs, { type: 'repair', clusterId, nodeId });
    const again = repairedMs + draw(random, failures.meanHoursBetween * 60 * minuteMs);
    this.#events.add(again, { type: 'failure', clusterId, nodeId });
    const lost = [...this.#running].filter(({ places }) =>
      places.some((place) => place.clusterId === clusterId && place.nodeId === nodeId),
    );
    for (const job of lost) {
      this.#release(job);
      this.#counts.displaced += 1;
      this.#counts.placed -= 1;
      this.#waiting.add(job);
    }
    if (lost.length > 0) await this.#retry();
  }

  /** Those that waited longest first. */
  async #retry(): Promise<void> {
    const patienceMs = this.#scenario.patienceMinutes * minuteMs;
    for (const job of [...this.#waiting]) {
      if (this.#nowMs - job.arrivedAtMs <= patienceMs) continue;
      this.#waiting.delete(job);
      this.#counts.refused += 1;
    }
    for (const job of [...this.#waiting].slice(0, retriedAtOnce)) {
      if (await this.#place(job)) this.#waiting.delete(job);
    }
  }

  #sample(): void {
    this.#samples.push({
      minute: this.#nowMs / minuteMs,
      ...this.#network.sample(this.#ledger, largestOf(this.#scenario.jobs)),
      running: this.#running.size,
      waiting: this.#waiting.size,
      refused: this.#counts.refused,
    });
  }

  #report(): VariantReport {
    const mean = (pick: (sample: Sample) => number): number => meanOf(this.#samples.map(pick));
    const totalMs = this.#decisionsMs.reduce((a, b) => a + b, 0);
    return {
      name: this.#variant.name,
      ...this.#counts,
      waiting: this.#waiting.size,
      samples: this.#samples,
      mean: {
        memoryFraction: mean((sample) => sample.memoryFraction),
        cpuFraction: mean((sample) => sample.cpuFraction),
        gpuMemoryFraction: mean((sample) => sample.gpuMemoryFraction),
        fragmentation: mean((sample) => sample.fragmentation),
      },
      waitMinutes: { mean: meanOf(this.#waitsMinutes), p95: quantile(this.#waitsMinutes, 0.95) },
      refusals: [...this.#refusals]
        .map(([refusedBy, count]) => ({ refusedBy, count }))
        .sort((a, b) => b.count - a.count)
        .slice(0, 20),
      decisionMs: {
        median: quantile(this.#decisionsMs, 0.5),
        p95: quantile(this.#decisionsMs, 0.95),
        p99: quantile(this.#decisionsMs, 0.99),
      },
      decisions: this.#decisionsMs.length,
      decisionsPerSecond: totalMs === 0 ? 0 : (1000 * this.#decisionsMs.length) / totalMs,
    };
  }
}
