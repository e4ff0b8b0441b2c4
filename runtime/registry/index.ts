export { createDocuments, type Documents, idOf, notFound } from './documents.ts';
export type { ReferenceChecks } from './references.ts';
export {
  createRegistry,
  type PlanOptions,
  type Registry,
  type RegistryOptions,
} from './registry.ts';
export { resolveVdag } from './resolve-vdag.ts';
export { whyNotRunnable } from './runnable.ts';
export { createSerial } from './serial.ts';
export { shardLayerOf } from './shard-layers.ts';
