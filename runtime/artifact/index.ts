export { type ArtifactStoreOptions, createArtifactStore } from './artifact-store.ts';
