import { resolve } from 'node:path';
import { BlockError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { GraphSpec } from '../../sdk/spec/component.ts';
import { type Tensor, type TensorDtype, tensorDtypes } from '../../sdk/tensor.ts';
import { tensorsFromJson } from '../../sdk/tensor-json.ts';
import { emptyFrame, jsonBytes } from '../dataplane/index.ts';
import type { Workload } from './workload.ts';

const maxWaiting = 64;

export interface GraphWorkloadOptions {
  readonly instanceId: string;
  readonly graph: GraphSpec;
  readonly threads: number;
  /** The thread that computes ended by itself. */
  readonly onFailure: (error: Error) => void;
}

/**
 * Serves a part of an ONNX graph: a packet's tensors in, those that cross the cut after it out. A packet without tensors
 * may hold them in its data, as JSON.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED, EXECUTOR_MISSING
 */
export async function loadGraphWorkload(options: GraphWorkloadOptions): Promise<Workload> {
  // Only an instance that hosts a graph pays for the room that runs models.
  const { createGraphExecutor, runShard } = await import('../model/index.ts');
  const { instanceId, graph, threads, onFailure } = options;
  const graphPath = resolve(graph.graph);
  const executor = await createGraphExecutor({ graphPath, threads, onFailure });
  const names = (tensors: GraphSpec['inputs']) => tensors.map(({ name }) => name);
  const step = {
    shard: executor,
    inputs: names(graph.inputs),
    outputs: names(graph.outputs),
    passes: graph.passes,
  };
  let refusal: BlockError | undefined;
  let running = 0;
  let idle: (() => void) | undefined;

  async function answer({ tensors, data }: Packet): Promise<Record<string, Tensor>> {
    const given = tensors ?? tensorsFromJson(data);
    const made = await runShard(step, given);
    return Object.fromEntries(
      Object.entries(made).map(([name, { dtype, ...rest }]) => {
        if (isPacketDtype(dtype)) return [name, { dtype, ...rest }];
        throw new BlockError(
          'UNSUPPORTED',
          `tensor '${name}' is of type ${dtype}, which no packet holds.`,
        );
      }),
    );
  }

  return {
    emptyResidentBytes: executor.emptyResidentBytes,
    acceptLink(link) {
      link.onFrame(({ session }) => {
        const error = new BlockError('UNSUPPORTED', `'${instanceId}' takes packets, not frames.`);
        link.send({ ...emptyFrame('fail'), session, payload: jsonBytes(error.serialize()) });
        link.grant();
      });
    },
    async *infer({ packet, signal }) {
      if (refusal) throw refusal;
      if (running >= maxWaiting) {
        throw new BlockError(
          'BUSY',
          `'${instanceId}' already has ${running} packets. Try again in a second.`,
          {
            details: { retryAfterMs: 1000 },
          },
        );
      }
      running += 1;
      try {
        signal.throwIfAborted();
        const { sessionId, sequence } = packet;
        const tensors = await answer(packet);
        yield {
          final: true,
          packet: { sessionId, sequence, data: {}, tensors, createdAtMs: Date.now() },
        };
      } finally {
        running -= 1;
        if (running === 0) idle?.();
      }
    },
    async drain() {
      refusal = new BlockError(
        'SHARD_UNAVAILABLE',
        `instance '${instanceId}' is ending. Ask again.`,
      );
      if (running > 0) {
        await new Promise<void>((done) => {
          idle = done;
        });
      }
    },
    async close() {
      refusal = new BlockError(
        'SHARD_UNAVAILABLE',
        `instance '${instanceId}' was stopped. Ask again.`,
      );
      await executor.close();
    },
  };
}

const isPacketDtype = (dtype: string): dtype is TensorDtype => Object.hasOwn(tensorDtypes, dtype);
