import { randomUUID } from 'node:crypto';
import type { InferEvent } from '../../sdk/client/api.ts';
import { AiosError, VdagError } from '../../sdk/errors.ts';
import type { VdagNode, VdagSpec } from '../../sdk/spec/vdag.ts';
import type { InstanceDirectory } from '../control-plane.ts';
import {
  type ConnectOptions,
  connectInstance,
  type InstanceConnection,
} from '../dataplane/index.ts';
import type { RequestRecorder } from '../metrics/index.ts';
import type { TraceContext } from '../tracing/index.ts';
import { callBlock } from './block-call.ts';
import { compileGraph, joinInputs } from './compiled-graph.ts';
import { createEventQueue } from './event-queue.ts';
import type { GenerationDriver } from './generation.ts';
import { runGeneration } from './generation-node.ts';
import { createInstancePool } from './instance-pool.ts';
import { openScope, type RequestScope } from './request-scope.ts';
import { jsonOf, packetContent } from './with-tensors.ts';

/** A block or a vDAG, called as one thing. */
export interface InvokeRequest {
  readonly tenant: string;
  /** Who takes turns with others at language models. @default all are one */
  readonly client?: string | undefined;
  /** The span that asks. */
  readonly trace?: TraceContext | undefined;
  readonly target: { readonly kind: 'block' | 'vdag'; readonly id: string };
  readonly data: unknown;
  /** Groups requests for the load balancer. @default a new one */
  readonly sessionId?: string;
  /** A point in time: Unix milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface GraphRunner {
  /**
   * Partial results of the last node, as long as there is one, then the answer with `final: true`. Stops everything that
   * still runs when the consumer stops iterating, the signal aborts, or the deadline passes.
   *
   * @throws {AiosError} what the first failing node threw, its label in the message and in details.node; VDAG_CYCLE,
   * VDAG_NODE_UNBOUND, NOT_FOUND, DEADLINE_EXCEEDED, CANCELLED
   */
  invoke(request: InvokeRequest): AsyncIterable<InferEvent>;
  close(): void;
}

export interface GraphRunnerOptions {
  /** A vDAG by URI, or by bare name while it is unique. */
  readonly resolveVdag: (tenant: string, name: string) => Promise<VdagSpec>;
  readonly directory: InstanceDirectory;
  readonly driver: GenerationDriver;
  /** Told of every request; the driver tells of its own. */
  readonly requests?: Pick<RequestRecorder, 'beginVdag'>;
  /** For tests. @default connectInstance */
  readonly connect?: (options: ConnectOptions) => InstanceConnection;
  /** How long a node waits for a ready instance of its block. @default 15000 */
  readonly readyWaitMs?: number;
}

/** How deep vDAGs may nest. */
export const maxNesting = 8;
const waitingPartials = 16;

interface Run {
  readonly tenant: string;
  readonly client: string | undefined;
  readonly trace: TraceContext | undefined;
  readonly sessionId: string;
  readonly deadlineMs: number;
  readonly scope: RequestScope;
  /** vDAGs being run, outermost first. */
  readonly path: readonly string[];
  readonly onPartial?: ((data: unknown) => Promise<void>) | undefined;
}

export function createGraphRunner(options: GraphRunnerOptions): GraphRunner {
  const pool = createInstancePool(`driver-${randomUUID()}`, options.connect ?? connectInstance);
  const readyWaitMs = options.readyWaitMs ?? 15_000;
  let sequence = 0;

  const runBlock = (
    blockId: string,
    data: unknown,
    parameters: Readonly<Record<string, unknown>>,
    run: Run,
  ): Promise<unknown> =>
    callBlock({
      ...run,
      directory: options.directory,
      pool,
      blockId,
      readyWaitMs,
      parameters,
      // Never repeats, so that two nodes of one block in one session are two packets.
      packet: {
        sessionId: run.sessionId,
        sequence: sequence++,
        ...packetContent(data),
        createdAtMs: Date.now(),
      },
    });

  async function runVdag(
    name: string,
    data: unknown,
    parameters: Readonly<Record<string, unknown>>,
    run: Run,
  ): Promise<unknown> {
    const vdag = await run.scope.race(options.resolveVdag(run.tenant, name));
    const path = [...run.path, vdag.uri];
    if (run.path.includes(vdag.uri) || path.length > maxNesting) {
      throw new VdagError(
        'VDAG_CYCLE',
        run.path.includes(vdag.uri)
          ? `vDAG '${vdag.uri}' contains itself: ${path.join(' => ')}.`
          : `vDAGs nest more than ${maxNesting} deep: ${path.join(' => ')}.`,
        { details: { path } },
      );
    }
    if (!vdag.generation) {
      const end = options.requests?.beginVdag(run.tenant, vdag.uri);
      const answer = runGraph(vdag, data, { ...run, path });
      // Caller gone is nobody's failure.
      answer.then(
        () => end?.(),
        (error) => end?.({ ok: AiosError.from(error).code === 'CANCELLED' }),
      );
      return answer;
    }
    const { tenant, client, trace, deadlineMs, scope, onPartial } = run;
    return runGeneration(
      options.driver,
      {
        ...{ tenant, trace, vdagUri: vdag.uri, deadlineMs, signal: scope.signal },
        ...(client === undefined ? {} : { client }),
      },
      data,
      parameters,
      onPartial && ((text) => onPartial({ text })),
    );
  }

  async function runGraph(vdag: VdagSpec, request: unknown, run: Run): Promise<unknown> {
    const graph = compileGraph(vdag);
    const scope = openScope(`vDAG '${vdag.uri}'`, run.deadlineMs, run.scope.signal);
    const outputs = new Map<string, unknown>();
    const running = new Map<string, Promise<void>>();
    const onlyTail = graph.tails.length === 1 ? graph.tails[0] : undefined;
    for (const { node, inputs } of graph.nodes) {
      const { label } = node;
      const upstream = inputs.map(({ from }) => running.get(from));
      const work = async () => {
        await Promise.all(upstream);
        const onPartial = label === onlyTail ? run.onPartial : undefined;
        try {
          scope.throwIfOver();
          const data = joinInputs(inputs, request, outputs);
          outputs.set(label, await runNode(node, data, { ...run, scope, onPartial }));
        } catch (error) {
          throw atNode(vdag.uri, label, error);
        }
      };
      running.set(label, work());
    }
    try {
      await Promise.all(running.values());
    } finally {
      // The first failure ends the rest; nothing is left running when it is reported.
      scope.end();
      await Promise.allSettled(running.values());
    }
    if (onlyTail !== undefined) return outputs.get(onlyTail);
    return Object.fromEntries(graph.tails.map((label) => [label, outputs.get(label)]));
  }

  const runNode = (node: VdagNode, data: unknown, run: Run): Promise<unknown> =>
    node.blockId !== undefined
      ? runBlock(node.blockId, data, node.modelParameters, run)
      : runVdag(node.vdagUri ?? '', data, node.modelParameters, run);

  return {
    async *invoke({
      tenant,
      client,
      trace,
      target,
      data,
      sessionId = randomUUID(),
      deadlineMs,
      signal,
    }) {
      const subject = `${target.kind === 'vdag' ? 'vDAG' : 'block'} '${target.id}'`;
      const scope = openScope(subject, deadlineMs, signal);
      const events = createEventQueue<InferEvent>(waitingPartials);
      const run: Run = {
        tenant,
        client,
        trace,
        sessionId,
        deadlineMs,
        scope,
        path: [],
        onPartial: (partial) => events.push({ final: false, data: partial }),
      };
      const start = target.kind === 'block' ? runBlock : runVdag;
      const work = start(target.id, data, {}, run).then(
        async (answer) => {
          await events.push({ final: true, data: jsonOf(answer) });
          events.end();
        },
        (error) => events.end(error),
      );
      try {
        yield* events;
      } finally {
        events.end();
        scope.end();
        await work;
      }
    },
    close: () => pool.close(),
  };
}

/** Says which node failed; the code and what it means to the caller stay. */
function atNode(uri: string, label: string, cause: unknown): AiosError {
  const error = AiosError.from(cause);
  if (error.code === 'CANCELLED' || error.details.node !== undefined) return error;
  return new VdagError(error.code, `vDAG '${uri}' node '${label}': ${error.message}`, {
    problems: error.problems,
    details: { ...error.details, node: label },
    retryable: error.retryable,
    cause,
  });
}
