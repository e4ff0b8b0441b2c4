export {
  type ArtifactStoreOptions,
  createArtifactStore,
  type StoredArtifacts,
} from './artifact-store.ts';
export { type ArtifactUpkeep, type ArtifactUpkeepOptions, createArtifactUpkeep } from './upkeep.ts';
