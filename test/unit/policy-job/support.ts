import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost, type PolicyHost } from '../../../runtime/policy/index.ts';
import { type Jobs, openJobs } from '../../../runtime/policy-job/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { Json } from '../../../sdk/packet.ts';
import { definePolicy } from '../../../sdk/policy.ts';

export const tenant = 'default';
export const uri = 'same-output:1.0.0-stable';

/** Fails as it is told, after it said something. */
export const failing = definePolicy({
  ...{ hook: 'function', name: 'failing', version: '1.0.0', description: 'Fails.' },
  evaluate(_, { log }) {
    log('before it failed');
    throw new Error('told to');
  },
});

interface Call {
  readonly tenant: string;
  readonly input: Json;
  end(): void;
}

/** Jobs over a real host, each of whose calls waits until the test lets it go on. */
export class Bench {
  nowMs = 1_000_000;
  nodes: readonly NodeSnapshot[] = [];
  readonly store = createMemoryStore();
  readonly log: string[] = [];
  /** In the order in which they began. */
  readonly calls: Call[] = [];
  /** Calls wait. @default they go on at once */
  holds = false;
  #host: PolicyHost | undefined;
  #jobs: Jobs | undefined;

  get jobs(): Jobs {
    if (!this.#jobs) throw new Error('not open');
    return this.#jobs;
  }

  async open(): Promise<this> {
    const host = createPolicyHost({
      ...{ builtins: [...builtinPolicies, failing], store: this.store },
      loadArtifact: (hash) => Promise.reject(new Error(`no artifact ${hash}`)),
    });
    this.#host = host;
    const bench = this;
    this.#jobs = await openJobs({
      ...{ store: this.store, clock: () => this.nowMs, nodes: () => this.nodes },
      log: (line) => this.log.push(line),
      policies: {
        async evaluate(request) {
          if (request.hook === 'function') await bench.#hold(request as never);
          return host.evaluate(request);
        },
      },
    });
    return this;
  }

  #hold({ tenant, input, signal }: { tenant: string; input: Json; signal?: AbortSignal }) {
    return new Promise<void>((resolve, reject) => {
      const { input: given } = input as { input: Json };
      this.calls.push({ tenant, input: given, end: resolve });
      signal?.addEventListener('abort', () => reject(new AiosError('CANCELLED', 'was cancelled.')));
      if (!this.holds) resolve();
    });
  }

  submit(input: Json, of = tenant, policyRuleURI = uri) {
    return this.jobs.submit(of, { policyRuleURI, input });
  }

  async close(): Promise<void> {
    await this.#jobs?.close();
    await this.#host?.close();
  }
}
