// Importing this room loads neither ONNX Runtime nor a worker: the driver takes the tokenizer alone.
export {
  type ChatTemplate,
  type ChatTemplateMessage,
  type ChatTemplateSource,
  chatTemplateLimits,
  createChatTemplate,
} from './chat-template.ts';
export { type CompletePlanOptions, completePlan } from './complete-plan.ts';
export { createDetokenizer, type Detokenizer } from './detokenizer.ts';
export { type EvaluateOptions, type Evaluation, evaluateSplit } from './evaluate/evaluate.ts';
export { defaultHashCachePath } from './hash.ts';
export {
  createGraphExecutor,
  type GraphExecutor,
  type GraphRun,
} from './onnx-cut/graph-executor.ts';
export { joinOutputs, takeInputs } from './onnx-cut/run-shards.ts';
export { loadOnnxRuntime, type OnnxRuntime } from './onnx-runtime.ts';
export {
  type SampledToken,
  type SeededSampling,
  sampleToken,
} from './sampling.ts';
export {
  defaultMaxSessions,
  type OutlineModelOptions,
  outlineModel,
  previewSplit,
  type SplitModelOptions,
  type SplitProgress,
  splitModel,
  type WriteSplitOptions,
  writeSplit,
} from './split.ts';
export { planFileName } from './split-folder.ts';
export type { SplitPreview } from './split-preview.ts';
export { decoderSplitter, splitters } from './splitters/index.ts';
export {
  outputHeadroomBytes,
  type StageExecutor,
  type StageExecutorOptions,
  type StageSessionOptions,
  type StepRequest,
  type StepResult,
  stageTensors,
} from './stage.ts';
export { createStageExecutor } from './stage-executor.ts';
export { loadStage, type SlotStep, type StageRunner } from './stage-runner.ts';
export { createStopMatcher, type StopMatch, type StopMatcher } from './stop-strings.ts';
export {
  type DecodeOptions,
  loadTokenizer,
  type Tokenizer,
  type TokenizerFiles,
  tokenizerLimits,
} from './tokenizer.ts';
