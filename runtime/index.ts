/**
 * The control plane, for whoever composes a system: the CLI, a test, a program of one's own.
 *
 * @module
 */
export * from './control-plane.ts';
export { createControlPlane } from './create-control-plane.ts';
/** HTTP in front of it: the control API and OpenAI's. */
export { type Gateway, type GatewayOptions, startGateway } from './gateway/index.ts';
/** One stage in this process, without a control plane: to compare with, and for benches. */
export {
  createStageExecutor,
  type StageExecutor,
  type StageExecutorOptions,
} from './model/index.ts';
export {
  createGenerationDriver,
  createGraphRunner,
  type GenerationDriver,
  type GraphRunner,
  measuredHops,
} from './vdag/index.ts';
