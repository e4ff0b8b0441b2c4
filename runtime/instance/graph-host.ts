import { AiosError, BlockError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { GraphSpec } from '../../sdk/spec/component.ts';
import { type Tensor, type TensorDtype, tensorDtypes } from '../../sdk/tensor.ts';
import { tensorsFromJson } from '../../sdk/tensor-json.ts';
import { emptyFrame, jsonBytes } from '../dataplane/index.ts';
import type { GraphExecutor, joinOutputs, takeInputs } from '../model/index.ts';
import { checkGraphInputs } from './graph-inputs.ts';
import { createGraphTally, type PacketTally } from './graph-tally.ts';
import { createGraphTurns, type Place } from './graph-turns.ts';
import type { Workload } from './workload.ts';

/** One packet computes, the next already lies with the thread: it never idles between two. */
const atOnce = 2;
const maxHeld = 64;
const maxHeldBytes = 128 * 2 ** 20;

export interface GraphHostOptions {
  readonly instanceId: string;
  readonly graph: GraphSpec;
  readonly executor: GraphExecutor;
  /** How packets become a graph's inputs, and its outputs packets. */
  readonly shards: {
    readonly takeInputs: typeof takeInputs;
    readonly joinOutputs: typeof joinOutputs;
  };
}

/**
 * Serves a part of an ONNX graph: a packet's tensors in, those that cross the cut after it out. A packet without tensors
 * may hold them in its data, as JSON. Packets are read and checked while another computes; one whose caller is gone, or
 * whose deadline has passed, before it is computed never is.
 */
export function createGraphHost(options: GraphHostOptions): Workload {
  const { instanceId, graph, executor } = options;
  const { takeInputs, joinOutputs } = options.shards;
  const names = (tensors: GraphSpec['inputs']) => tensors.map(({ name }) => name);
  const step = {
    inputs: names(graph.inputs),
    outputs: names(graph.outputs),
    passes: graph.passes,
  };
  const tally = createGraphTally();
  const turns = createGraphTurns({ instanceId, atOnce, maxHeld, maxHeldBytes });

  function read({ tensors, data }: Packet) {
    const inputs = takeInputs(step, tensors ?? tensorsFromJson(data));
    checkGraphInputs(graph.inputs, inputs.taken);
    return inputs;
  }

  /** @throws {AiosError} what the caller is told */
  async function answer(
    { packet, signal }: InferRequest,
    place: Place,
    own: PacketTally,
  ): Promise<Record<string, Tensor>> {
    const { taken, passed } = read(packet);
    const turn = place.turn();
    tally.heldNow(turns.held, turns.waiting);
    await turn;
    const { outputs, computeNs } = await executor.run(taken, signal);
    place.endTurn();
    own.computed(packet.sessionId, computeNs);
    // Nobody is left to read it.
    signal.throwIfAborted();
    return packetTensors(joinOutputs(step, passed, outputs));
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
    async *infer(request) {
      const { packet, deadlineMs, signal, receivedBytes: bytes = 0, traceparent } = request;
      const { sessionId, sequence } = packet;
      const own = tally.packetCame(bytes, traceparent);
      let place: Place | undefined;
      try {
        place = turns.enter({ sessionId, bytes, deadlineMs, signal });
        const tensors = await answer(request, place, own);
        own.ended(sumBytes(tensors));
        // Its place is free when the answer is written: until then it takes memory, and the process is not done.
        yield {
          final: true,
          packet: { sessionId, sequence, data: {}, tensors, createdAtMs: Date.now() },
        };
      } catch (cause) {
        const error = AiosError.from(cause);
        own.ended(undefined, error);
        throw error;
      } finally {
        place?.leave();
      }
    },
    counters: () => tally.read(turns.held, turns.waiting, maxHeld),
    takeSpans: tally.takeSpans,
    async drain() {
      turns.refuse(
        new BlockError('SHARD_UNAVAILABLE', `instance '${instanceId}' is ending. Ask again.`),
      );
      await turns.idle();
    },
    async close() {
      turns.refuse(
        new BlockError('SHARD_UNAVAILABLE', `instance '${instanceId}' was stopped. Ask again.`),
        true,
      );
      await executor.close();
    },
  };
}

type InferRequest = Parameters<Workload['infer']>[0];

const isPacketDtype = (dtype: string): dtype is TensorDtype => Object.hasOwn(tensorDtypes, dtype);

/** @throws {BlockError} UNSUPPORTED - a type that no packet holds */
function packetTensors(made: ReturnType<typeof joinOutputs>): Record<string, Tensor> {
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

const sumBytes = (tensors: Readonly<Record<string, Tensor>>): number =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
