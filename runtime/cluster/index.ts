export * from './backend.ts';
export { createLocalBackend, type LocalBackendOptions } from './local/local-backend.ts';
export {
  createSimulatedBackend,
  type SimulatedBackendOptions,
} from './simulated/simulated-backend.ts';
