/**
 * What an author imports.
 *
 * @example
 * import { defineBlock } from 'aios-sdk';
 * import { z } from 'zod';
 * export default defineBlock({
 *   input: z.object({ text: z.string() }), output: z.object({ text: z.string() }),
 *   onData: ({ data }) => ({ text: data.text.toUpperCase() }),
 * });
 * @module
 */
export {
  type Block,
  type BlockContext,
  type BlockDefinition,
  type BlockHealth,
  defineBlock,
} from './block.ts';
export type {
  Amounts,
  ClusterSnapshot,
  GpuSnapshot,
  NodeMeasurement,
  NodeSnapshot,
} from './cluster.ts';
export {
  AiosError,
  type ErrorCode,
  errorCodes,
  formatProblems,
  type Problem,
  type SerializedError,
} from './errors.ts';
export {
  type Assignment,
  type BlockView,
  type HookAnswer,
  type HookInput,
  type HookName,
  type HookOutput,
  hookNames,
  hooks,
} from './hooks.ts';
export * as ids from './ids.ts';
export { defineInitContainer, type InitContainer, type InitContext } from './init-container.ts';
export type { Json, Packet, PacketFile } from './packet.ts';
export {
  type AnyPolicy,
  definePolicy,
  type Policy,
  type PolicyContext,
  type PolicyDefinition,
} from './policy.ts';
export { type SamplingParameters, samplingParameters } from './sampling.ts';
export { defineSplitter, type ModelOutline, type SplitContext, type Splitter } from './splitter.ts';
export {
  checkTensor,
  elementCount,
  type Tensor,
  type TensorDtype,
  tensorDtypes,
} from './tensor.ts';
export { formatBytes, formatDuration, mebibyte, parseBytes, parseDurationMs } from './units.ts';
