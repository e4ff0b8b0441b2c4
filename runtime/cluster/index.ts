export * from './backend.ts';
export { createLocalBackend, type LocalBackendOptions } from './local/local-backend.ts';
