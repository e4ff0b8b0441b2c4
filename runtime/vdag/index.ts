export { createGenerationDriver, type GenerationDriverOptions } from './driver.ts';
export type {
  ChatMessage,
  GenerateRequest,
  GenerationDriver,
  GenerationEvent,
  GenerationUsage,
  HopTiming,
  TokenChoice,
} from './generation.ts';
export {
  createGraphRunner,
  type GraphRunner,
  type GraphRunnerOptions,
  type InvokeRequest,
} from './graph-runner.ts';
export { isTokenIds, parseRequest } from './parse-request.ts';
export { type MeasuredHops, measuredHops } from './wire-dtypes.ts';
