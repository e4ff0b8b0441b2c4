import { encodeInPlace } from '../../runtime/dataplane/frame-codec.ts';
import { decodeActivations, encodeActivations } from '../../runtime/dataplane/wire-dtype.ts';
import { outputHeadroomBytes, type StageExecutor } from '../../runtime/model/stage.ts';
import { createStageExecutor } from '../../runtime/model/stage-executor.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import { answer, greedySampling, writeTestStages } from './stages.ts';

export interface Conversation {
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
}

/** What a dtype between shards makes of a model's choices, each position given the text that fp32 wrote. */
export interface WireEvaluation {
  readonly positions: number;
  /** Part of the positions where the likeliest token is the one of fp32. */
  readonly agreement: number;
  /** Of the log-probability of fp32's token, in nats. */
  readonly meanGap: number;
  readonly largestGap: number;
  /** Sent between two shards for a token that is decoded, header included. */
  readonly bytesPerToken: number;
}

type Sink = (token: number, logprob: number, top: readonly (readonly [number, number])[]) => void;

/** Writes down what one text's every token was worth. @returns bytes of the decode frames of each link */
async function follow(
  executors: readonly StageExecutor[],
  dtype: WireDtype,
  session: string,
  promptTokens: readonly number[],
  tokens: readonly number[],
  sink: Sink,
): Promise<number> {
  for (const executor of executors) {
    executor.open(session, { promptTokens, sampling: { ...greedySampling, logprobs: 20 } });
  }
  let decodeBytes = 0;
  const steps = [promptTokens, ...tokens.slice(0, -1).map((token) => [token])];
  let position = 0;
  for (const [sequence, step] of steps.entries()) {
    const rows = step.length;
    let input = new Uint8Array(Int32Array.from(step).buffer);
    for (const executor of executors) {
      const result = await executor.step({ session, position, rows, input, sample: true });
      if (result.type === 'token') sink(result.token, result.logprob ?? 0, result.top ?? []);
      if (result.type !== 'activations') continue;
      const { buffer } = result;
      const width = (buffer.byteLength - outputHeadroomBytes) / 4 / rows;
      const sent = encodeActivations(dtype, buffer, outputHeadroomBytes, rows);
      const head = {
        ...({ type: 'step', session, sequence, position, rows, sample: true } as const),
        ...{ dtype: sent.dtype, shape: [rows, width], token: 0, credit: 0, timings: [1e6, 1e5] },
      };
      // The header is written before the payload, which is still there to be read.
      const message = encodeInPlace(head, buffer, sent.payloadOffset);
      if (sequence > 0) decodeBytes += message.length;
      const payload = new Uint8Array(buffer.slice(sent.payloadOffset));
      input = new Uint8Array(decodeActivations({ ...head, payload }));
    }
    position += rows;
  }
  for (const executor of executors) executor.closeSession(session);
  return decodeBytes;
}

/** @param firstLayers - of each shard */
export async function evaluateWire(
  modelFolder: string,
  firstLayers: readonly number[],
  dtypes: readonly WireDtype[],
  conversations: readonly Conversation[],
): Promise<ReadonlyMap<WireDtype, WireEvaluation>> {
  await using written = await writeTestStages(modelFolder, firstLayers, 1);
  const executors = await Promise.all(
    written.stages.map((one) => createStageExecutor({ ...one, threads: 1 })),
  );
  try {
    const found = new Map<WireDtype, WireEvaluation>();
    for (const dtype of dtypes) {
      let [positions, agreed, gaps, largestGap, bytes, decoded] = [0, 0, 0, 0, 0, 0];
      for (const [index, { promptTokens, maxTokens }] of conversations.entries()) {
        const { tokens } = await answer(executors, { session: 'exact', promptTokens, maxTokens });
        const exact: number[] = [];
        const name = `${dtype}-${index}`;
        await follow(executors, 'fp32', `${name}-exact`, promptTokens, tokens, (_, logprob) => {
          exact.push(logprob);
        });
        let at = 0;
        bytes += await follow(executors, dtype, name, promptTokens, tokens, (token, own, top) => {
          const expected = tokens[at];
          const seen = token === expected ? own : top.find(([id]) => id === expected)?.[1];
          const gap = Math.abs((seen ?? Number.NEGATIVE_INFINITY) - (exact[at] ?? 0));
          positions += 1;
          if (token === expected) agreed += 1;
          gaps += gap;
          largestGap = Math.max(largestGap, gap);
          at += 1;
        });
        decoded += tokens.length - 1;
      }
      found.set(dtype, {
        ...{ positions, largestGap, agreement: agreed / positions, meanGap: gaps / positions },
        bytesPerToken: bytes / decoded / (executors.length - 1),
      });
    }
    return found;
  } finally {
    for (const executor of executors) await executor.close();
  }
}
