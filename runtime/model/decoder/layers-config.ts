import type { Problem } from '../../../sdk/errors.ts';
import type { Architecture } from './architectures.ts';
import type { HuggingFaceConfig } from './config-document.ts';
import { type LayerKind, type Rope, readRope } from './rope.ts';

export interface LayerConfig {
  /** Tokens that attention sees, its own among them. Absent: all before it. */
  readonly windowTokens?: number;
  /** The same object for all layers that turn alike. */
  readonly rope: Rope;
}

/** Which layers slide, and how each turns. */
export function readLayers(
  architecture: Architecture,
  raw: HuggingFaceConfig,
  headSize: number,
  problems: Problem[],
): LayerConfig[] {
  const kinds = layerKinds(architecture, raw, problems);
  const known = new Map<LayerKind, LayerConfig>();
  return kinds.map((kind) => {
    const layer = known.get(kind) ?? readKind(kind);
    known.set(kind, layer);
    return layer;
  });

  function readKind(kind: LayerKind): LayerConfig {
    const slides = kind === 'sliding_attention';
    const hasOwnRope = architecture.localRope && slides;
    const tellsApart = architecture.localRope || raw.rope_parameters?.[kind] !== undefined;
    // Else nothing is read, or complained of, twice.
    const other = tellsApart ? undefined : [...known.values()][0];
    const rope = other?.rope ?? readRope(raw, kind, { headSize, local: hasOwnRope }, problems);
    const windowTokens = slides ? architecture.window(raw) : undefined;
    return { rope, ...(windowTokens ? { windowTokens } : {}) };
  }
}

function layerKinds(
  architecture: Architecture,
  raw: HuggingFaceConfig,
  problems: Problem[],
): LayerKind[] {
  const { layer_types: types, num_hidden_layers: count } = raw;
  const windowTokens = architecture.window(raw);
  if (types && types.length !== count) {
    problems.push({
      path: 'config.json: $.layer_types',
      message: 'does not have an entry for each layer.',
      expected: `${count} entries`,
      seen: `${types.length}`,
    });
  }
  return Array.from({ length: count }, (_, layer) => {
    const slides = types ? types[layer] === 'sliding_attention' : architecture.slides(layer, raw);
    // Where turning differs by kind, a layer keeps its kind without a window too.
    return slides && (windowTokens || architecture.localRope)
      ? 'sliding_attention'
      : 'full_attention';
  });
}
