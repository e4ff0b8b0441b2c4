/**
 * Parts of models by the hash of their stage: which run, for which vDAGs, and what splitters noted of them.
 *
 * @module
 */
export { createLayers, type Layers, layerLimits } from './layers.ts';
