import { AiosError } from '../../sdk/errors.ts';
import type { SplitLayerContext } from '../../sdk/split-context.ts';
import type { Layers } from '../layer/index.ts';

/** The registry of layers as a tenant's splitter sees it. */
export function layerLookup(
  layers: Pick<Layers, 'get' | 'register'>,
  tenant: string,
): SplitLayerContext {
  return {
    find: (hash) =>
      layers.get(tenant, hash).catch((thrown: unknown) => {
        if (AiosError.from(thrown).code === 'NOT_FOUND') return undefined;
        throw thrown;
      }),
    register: async (layer) => void (await layers.register(tenant, layer)),
  };
}
