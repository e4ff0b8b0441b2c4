import type { ControlPlane } from '../../../runtime/control-plane.ts';
import { type GatewayOptions, startGateway } from '../../../runtime/gateway/index.ts';
import type {
  GenerateRequest,
  GenerationDriver,
  GenerationEvent,
  GraphRunner,
} from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { VdagSpec } from '../../../sdk/spec/vdag.ts';

export const modelUri = 'parrot:1.0-stable';

const vdag: VdagSpec = {
  uri: modelUri as VdagSpec['uri'],
  name: 'parrot',
  version: '1.0',
  releaseTag: 'stable',
  nodes: [],
  edges: [],
  controller: {},
  tags: [],
  generation: {
    files: [],
    contextTokens: 100,
    vocabularySize: 256,
    endTokenIds: [0],
    stages: ['shard-0'],
  },
};

/** Answers what it is told to, a token a letter, whose id is its code unit; remembers what it was asked. */
export class FakeDriver implements GenerationDriver {
  readonly requests: GenerateRequest[] = [];
  ended = 0;
  /** Tokens that somebody asked for. */
  produced = 0;
  answer = 'Hello!';
  finishReason: 'stop' | 'length' = 'stop';
  /** Thrown before the token of this index. */
  failAt: { readonly index: number; readonly error: unknown } | undefined;
  /** Waits for the signal before the token of this index. */
  hangAt: number | undefined;

  async *generate(request: GenerateRequest): AsyncGenerator<GenerationEvent> {
    this.requests.push(request);
    try {
      yield { type: 'prompt', tokens: [7, 8, 9] };
      const letters = [...this.answer];
      for (const [index, letter] of letters.entries()) {
        if (this.failAt?.index === index) throw this.failAt.error;
        if (this.hangAt === index) await aborted(request.signal);
        this.produced += 1;
        const token = letter.charCodeAt(0);
        const choice = { token, text: letter, bytes: [...Buffer.from(letter)], logprob: -0.5 };
        const top = Array.from({ length: request.sampling.logprobs ?? 0 }, (_, rank) => ({
          ...choice,
          text: `${letter}${rank}`,
          logprob: -0.5 - rank,
        }));
        const wanted = request.sampling.logprobs !== undefined;
        yield {
          type: 'token',
          token,
          text: letter,
          ...(wanted ? { choice: { ...choice, top } } : {}),
        };
      }
      yield {
        type: 'end',
        finishReason: this.finishReason,
        text: '',
        usage: { promptTokens: 3, completionTokens: letters.length },
        timeToFirstTokenMs: 1,
        totalMs: 2,
        hops: [{ instanceId: 'shard-0-a', computeMs: 1, waitMs: 0 }],
        times: { waitedMs: 0 },
        recoveries: [],
      };
    } finally {
      this.ended += 1;
    }
  }

  async close() {}
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });
}

/** Echoes its data after one partial result. */
export const echoRunner: GraphRunner = {
  async *invoke({ target, data }) {
    if (target.id === 'missing')
      throw new AiosError('NOT_FOUND', "block 'missing' does not exist.");
    yield { final: false, data: 'thinking' };
    if (target.id === 'breaks') throw new AiosError('BLOCK_FAILED', "block 'breaks' threw.");
    yield { final: true, data };
  },
  close() {},
};

/** Keeps documents in a map; only what the gateway's tests reach is more than an error. */
export function fakeControlPlane(overrides: Partial<ControlPlane> = {}): ControlPlane {
  const unused = async () => {
    throw new AiosError('UNSUPPORTED', 'not part of this test.');
  };
  return {
    directory: { pick: unused, report() {} },
    artifacts: {
      has: async (hash) => hash.endsWith('a'),
      path: unused,
      async write(hash, bytes) {
        let sizeBytes = 0;
        for await (const chunk of bytes) sizeBytes += chunk.byteLength;
        return { hash, sizeBytes };
      },
      openLink: async () => ({ ticket: 't1', path: 'somewhere' }),
      commitLink: async (_ticket, hash) => ({ hash, sizeBytes: 1 }),
    },
    status: unused,
    create: async (_tenant, kind, spec) => ({ kind, id: 'x', revision: 1, spec, warnings: [] }),
    dryRunBlock: unused,
    previewBlock: unused,
    reassign: unused,
    createPlan: unused,
    list: async (_tenant, kind) => [kind],
    async get(_tenant, kind, id) {
      throw new AiosError('NOT_FOUND', `${kind} '${id}' does not exist.`);
    },
    delete: async () => {},
    explain: async () => [],
    async resolveVdag(_tenant, name) {
      if (name === vdag.uri || name === vdag.name) return vdag;
      throw new AiosError('NOT_FOUND', `vDAG '${name}' does not exist.`);
    },
    models: async () => [{ id: vdag.uri, vdag, createdAtMs: 1_000_000 }],
    blockStatus: unused,
    async *logs() {
      yield 'first line';
      yield 'second: line';
    },
    watch: () => () => {},
    close: async () => {},
    ...overrides,
  };
}

export async function startTestGateway(options: Partial<GatewayOptions> = {}) {
  const driver = new FakeDriver();
  const logged: string[] = [];
  const gateway = await startGateway({
    controlPlane: fakeControlPlane(),
    driver,
    runner: echoRunner,
    log: (line) => logged.push(line),
    ...options,
  });
  return { driver, gateway, logged, url: gateway.url };
}

/** Waits for a condition that another part of the process brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
