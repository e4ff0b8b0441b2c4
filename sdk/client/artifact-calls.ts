import { apiPrefix } from './api.ts';
import type { ArtifactCalls } from './artifact.ts';
import type { Http } from './http.ts';

export function createArtifactCalls(http: Http): ArtifactCalls {
  const artifacts = `${apiPrefix}/artifacts`;
  return {
    artifactUsage: () => http.json(artifacts),
    pruneArtifacts: (request = {}) => http.json(`${artifacts}/prune`, { json: request }),
  };
}
