export { createMemoryStore } from './memory-store.ts';
export { createSqliteStore } from './sqlite-store.ts';
export * from './store.ts';
