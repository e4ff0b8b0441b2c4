import { z } from 'zod';
import { type Problem, SpecError } from '../../sdk/errors.ts';
import { type ClusterSpec, clusterSpec } from '../../sdk/spec/cluster.ts';
import { bytes, placementRules, policyReference, resourceAmounts } from '../../sdk/spec/common.ts';

const limits = { nodes: 100_000, arrivals: 200_000, variants: 10 } as const;

const nodeGroup = z.strictObject({
  count: z.number().int().positive().max(limits.nodes),
  memoryBytes: bytes,
  cpuCores: z.number().positive(),
  gpus: z
    .strictObject({
      count: z.number().int().nonnegative().max(64),
      memoryBytes: bytes,
      modelName: z.string().default('gpu'),
    })
    .optional(),
  tags: z.array(z.string()).default([]),
  metadata: z.record(z.string(), z.unknown()).default({}),
});

const job = z.strictObject({
  name: z.string().min(1),
  /** How often it comes beside the others. */
  weight: z.number().positive().default(1),
  instances: z.number().int().positive().max(1000).default(1),
  /** Of one instance. */
  resources: resourceAmounts,
  /** Mean of how long it runs; exponentially distributed. */
  meanMinutes: z.number().positive(),
  priority: z.number().int().optional(),
  placement: placementRules.optional(),
  policies: z.record(z.string(), policyReference).default({}),
});

const scenario = z.strictObject({
  seed: z.number().int().nonnegative().default(1),
  minutes: z
    .number()
    .positive()
    .max(60 * 24 * 31),
  clusters: z
    .array(
      z.strictObject({
        id: z.string(),
        regionId: z.string().default('local'),
        tags: z.array(z.string()).default([]),
        metadata: z.record(z.string(), z.unknown()).default({}),
        nodes: z.array(nodeGroup).min(1),
      }),
    )
    .min(1)
    .max(1000),
  jobs: z.array(job).min(1).max(100),
  arrivals: z.strictObject({
    perMinute: z.number().positive(),
    /** The rate goes up and down by this share of itself. */
    wave: z.number().min(0).max(1).default(0),
    waveMinutes: z.number().positive().default(1440),
  }),
  /** How long a job waits for a place before it goes away. */
  patienceMinutes: z.number().nonnegative().default(30),
  failures: z
    .strictObject({
      /** Of one node. */
      meanHoursBetween: z.number().positive(),
      repairMinutes: z.number().positive().default(30),
    })
    .optional(),
  /** Each runs the same arrivals with other policies. */
  variants: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        policies: z.record(z.string(), policyReference).default({}),
      }),
    )
    .min(1)
    .max(limits.variants)
    .default([{ name: 'default', policies: {} }]),
});
export type Scenario = z.output<typeof scenario>;
export type JobTemplate = Scenario['jobs'][number];

/** @throws {SpecError} SPEC_INVALID with every problem and its JSON path */
export function readScenario(document: unknown): Scenario {
  const parsed = scenario.safeParse(document);
  const problems: Problem[] = [];
  for (const issue of parsed.error?.issues ?? []) {
    const path = issue.path
      .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
      .join('');
    problems.push({ path: `$${path}`, message: issue.message });
  }
  if (parsed.success) {
    const { clusters, arrivals, minutes } = parsed.data;
    const nodes = clusters.flatMap((each) => each.nodes).reduce((sum, { count }) => sum + count, 0);
    const expected = arrivals.perMinute * minutes;
    if (nodes > limits.nodes) {
      problems.push({
        path: '$.clusters',
        message: `has ${nodes} nodes`,
        expected: `at most ${limits.nodes}`,
      });
    }
    if (expected > limits.arrivals) {
      const most = `at most ${limits.arrivals} arrivals: fewer minutes or fewer per minute`;
      problems.push({
        path: '$.arrivals.perMinute',
        message: `brings ${Math.round(expected)} jobs`,
        expected: most,
      });
    }
  }
  const [first] = problems;
  if (!parsed.success || first) {
    throw new SpecError(
      'SPEC_INVALID',
      `the scenario is wrong: ${first?.path} ${first?.message}.`,
      {
        problems,
      },
    );
  }
  return parsed.data;
}

/** The scenario's clusters as documents. */
export function clustersOf({ clusters }: Scenario): readonly ClusterSpec[] {
  return clusters.map(({ nodes, ...cluster }) => {
    let next = 0;
    return clusterSpec.parse({
      ...cluster,
      backend: 'simulated',
      nodes: nodes.flatMap(({ count, gpus, ...node }) =>
        Array.from({ length: count }, () => ({
          ...node,
          id: `${cluster.id}-${next++}`,
          gpus: Array.from({ length: gpus?.count ?? 0 }, () => ({
            memoryBytes: gpus?.memoryBytes ?? 0,
            modelName: gpus?.modelName ?? 'gpu',
          })),
        })),
      ),
    });
  });
}

/** @param random - 0 ≤ x < 1 @returns a job, by weight */
export function pickJob({ jobs }: Scenario, random: number): JobTemplate {
  let left = random * jobs.reduce((sum, { weight }) => sum + weight, 0);
  for (const job of jobs) {
    left -= job.weight;
    if (left < 0) return job;
  }
  return jobs[0] as JobTemplate;
}
