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
export { type AiosClient, type ConnectOptions, connect } from './client/index.ts';
export type {
  Amounts,
  ClusterSnapshot,
  GpuSnapshot,
  NodeMeasurement,
  NodeSnapshot,
} from './cluster.ts';
export {
  type Component,
  type ComponentDefinition,
  componentDocument,
  defineComponent,
} from './component.ts';
export {
  AiosError,
  BlockError,
  ClientError,
  DataPlaneError,
  type ErrorCode,
  type ErrorOptions,
  errorCodes,
  formatProblems,
  PlacementError,
  PolicyError,
  type Problem,
  type SerializedError,
  SpecError,
  SplitError,
  StoreError,
  VdagError,
} from './errors.ts';
export { chooseDevices, type Misfit, misfit, withInstance } from './fit.ts';
export { exampleInputs } from './hooks/examples.ts';
export {
  type Assignment,
  type BlockView,
  type HookAction,
  type HookAnswer,
  type HookInput,
  type HookName,
  type HookOutput,
  hookNames,
  hooks,
} from './hooks.ts';
export * as ids from './ids.ts';
export { defineInitContainer, type InitContainer, type InitContext } from './init-container.ts';
export { documentKinds, documentSchema, type JsonSchema, toJsonSchema } from './json-schema.ts';
export { type MetricField, type MetricName, metricFields } from './metric-fields.ts';
export type {
  AnyMetrics,
  BlockMetrics,
  ClusterMetrics,
  GpuMetrics,
  InstanceMetrics,
  MetricWindow,
  NodeMetrics,
  VdagMetrics,
} from './metrics.ts';
export { toAios } from './metrics-aios.ts';
export { nearest } from './nearest.ts';
export type {
  OnnxElementType,
  OnnxNodeAttribute,
  OnnxOperation,
  OnnxPort,
  OnnxShardGraph,
  OnnxWeights,
} from './onnx-graph.ts';
export type { Json, Packet, PacketFile } from './packet.ts';
export {
  type AnyPolicy,
  definePolicy,
  type Policy,
  type PolicyContext,
  type PolicyDefinition,
} from './policy.ts';
export {
  checkBlockAgainstComponent,
  compileProtocol,
  type Protocol,
  type ProtocolCheck,
  protocolFromFieldSchema,
} from './protocol.ts';
export { type SamplingParameters, samplingParameters } from './sampling.ts';
export type { BlockSpec } from './spec/block.ts';
export type { ClusterSpec, NodeSpec } from './spec/cluster.ts';
export type { PolicyReference, ResourceAmounts } from './spec/common.ts';
export type { ComponentSpec } from './spec/component.ts';
export {
  type DocumentKind,
  type DocumentMode,
  documentLimits,
  type ReadContext,
  type ReadResult,
  readDocument,
  readNetwork,
  readPlan,
  resolveResources,
} from './spec/index.ts';
export type { NetworkSpec } from './spec/network.ts';
export type { OpenPlan, SplitPlan, WrittenPlan } from './spec/plan.ts';
export type { PolicySpec } from './spec/policy.ts';
export type { VdagSpec } from './spec/vdag.ts';
export type {
  SplitLayerContext,
  SplitModelContext,
  SplitTaskContext,
  SplitTools,
} from './split-context.ts';
export {
  type GraphPlanParts,
  type PlannedGraph,
  type PlannedStage,
  rangeAmounts,
  type ShardRange,
  type StagePlanParts,
  splitRanges,
} from './split-parts.ts';
export {
  defineSplitter,
  type ModelOutline,
  type SplitContext,
  type Splitter,
  type SplitterDefinition,
} from './splitter.ts';
export {
  checkTensor,
  elementCount,
  type Tensor,
  type TensorDtype,
  tensorDtypes,
} from './tensor.ts';
export { formatBytes, formatDuration, mebibyte, parseBytes, parseDurationMs } from './units.ts';
export {
  defineVdag,
  findCycle,
  graphEnds,
  topologicalOrder,
  type Vdag,
  type VdagDefinition,
} from './vdag.ts';
