export * from './backend.ts';
export { createLocalBackend, type LocalBackendOptions } from './local/local-backend.ts';
export { createLoadCurve } from './simulated/load-curve.ts';
export {
  createSimulatedBackend,
  measurement,
  type SimulatedBackendOptions,
} from './simulated/simulated-backend.ts';
