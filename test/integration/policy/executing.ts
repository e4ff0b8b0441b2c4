import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { builtinPolicies } from '../../../policies/index.ts';
import {
  createPolicyHost,
  type EvaluateRequest,
  type PolicyExecutor,
  type PolicyHost,
} from '../../../runtime/policy/index.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { Json } from '../../../sdk/packet.ts';
import type { AnyPolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';
import { readDocument } from '../../../sdk/spec/index.ts';

export const tenant = 'default';

/** A bundle without a schema library: small, and as strange as a test needs. */
export const bundle = (hook: string, evaluate: string, more = '', before = '') => `${before}
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: '${hook}', parameters: anything, settings: anything,
  evaluate(input, context) { ${evaluate} }, ${more}
};`;

const hashOf = (source: string): string =>
  `sha256:${createHash('sha256').update(source).digest('hex')}`;

/** A host, and documents of policies that run in every way there is. */
export class Hosted {
  readonly store: Store;
  readonly #sources: Map<string, string>;
  readonly #executors: readonly PolicyExecutor[];
  readonly #more: readonly AnyPolicy[];
  host: PolicyHost;

  /** @param more - policies that run in this process, beside the built-in ones */
  constructor(executors: readonly PolicyExecutor[] = [], more: readonly AnyPolicy[] = []) {
    this.store = createMemoryStore();
    this.#sources = new Map();
    this.#executors = executors;
    this.#more = more;
    this.host = this.#open();
  }

  #open(): PolicyHost {
    return createPolicyHost({
      ...{ store: this.store, executors: this.#executors },
      builtins: [...builtinPolicies, ...this.#more],
      stateWriteDelayMs: 1,
      loadArtifact: async (hash) => {
        const source = this.#sources.get(hash);
        if (source === undefined) throw new Error(`no artifact ${hash}`);
        return source;
      },
    });
  }

  /** As a control plane that ends and comes back. */
  async restart(): Promise<void> {
    await this.host.close();
    this.host = this.#open();
  }

  /** Stores a policy as the registry would. @returns its URI */
  async publish(name: string, document: Record<string, unknown>, source?: string): Promise<string> {
    const uri = `${name}:1.0.0-stable`;
    const artifact = source === undefined ? {} : { artifact: { hash: hashOf(source) } };
    if (source !== undefined) this.#sources.set(hashOf(source), source);
    const { value } = readDocument('policy', { uri, hook: 'function', ...artifact, ...document });
    await this.store.commit([{ type: 'put', tenant, kind: 'policy', id: uri, value }]);
    return uri;
  }

  async call(
    uri: string,
    input: Json = {},
    more: Partial<EvaluateRequest<'function', 'call'>> = {},
  ) {
    const { output, evaluation } = await this.host.evaluate({
      ...{ tenant, hook: 'function' as const, action: 'call' as const, useSite: 'call' },
      reference: policyReference.parse({ policyRuleURI: uri }),
      input: { action: 'call', input },
      inventoryRevision: 0,
      ...more,
    });
    return { output: output.output, evaluation };
  }

  balance(uri: string, useSite = 'block/b') {
    return this.host.evaluate({
      ...{ tenant, hook: 'loadBalancer' as const, action: 'load_balance' as const, useSite },
      reference: policyReference.parse({ policyRuleURI: uri }),
      input: {
        ...{ action: 'load_balance', blockId: 'b', sessionId: 's' },
        instances: [
          { id: 'a', outstandingRequests: 2 },
          { id: 'b', outstandingRequests: 1 },
        ],
      },
      inventoryRevision: 0,
    });
  }
}

export async function failure(run: Promise<unknown>): Promise<AiosError> {
  try {
    await run;
  } catch (fault) {
    return AiosError.from(fault);
  }
  throw new Error('expected a failure');
}

export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, Json>;
}

/** An executor on a real socket. */
export class HttpExecutor {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly #answer: (asked: Asked, response: ServerResponse) => unknown;

  /** @param answer - a JSON value to send, or what it did to the response itself and `undefined` */
  constructor(answer: (asked: Asked, response: ServerResponse) => unknown) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, Json>;
    const asked = { path: request.url ?? '', headers: request.headers, body };
    this.asked.push(asked);
    const answer = await this.#answer(asked, response);
    if (answer !== undefined) response.end(JSON.stringify(answer));
  }

  async start(id = 'python'): Promise<PolicyExecutor> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    return { id, url: `http://127.0.0.1:${port}` };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
