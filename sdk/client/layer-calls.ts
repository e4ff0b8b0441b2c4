import { apiPrefix } from './api.ts';
import type { Http } from './http.ts';
import type { LayerCalls } from './layer.ts';

export function createLayerCalls(http: Http): LayerCalls {
  const layers = `${apiPrefix}/layers`;
  const one = (hash: string): string => `${layers}/${encodeURIComponent(hash)}`;
  return {
    layers: () => http.json(layers),
    layer: (hash) => http.json(one(hash)),
    registerLayer: (request) => http.json(layers, { json: request }),
    forgetLayer: (hash) => http.json(one(hash), { method: 'DELETE' }),
  };
}
