import { SplitError } from '../../sdk/errors.ts';
import { rangeAmounts, splitRanges } from '../../sdk/split-parts.ts';
import type { ModelOutline, ShardAmounts, Splitter } from '../../sdk/splitter.ts';

/** What a split would write. */
export interface SplitPreview {
  readonly outline: Pick<ModelOutline, 'name' | 'architecture' | 'contextTokens' | 'overheadBytes'>;
  readonly shards: readonly ShardAmounts[];
  /** The splitter does not say what its shards take: these are the outline's layers, cut as it was told. */
  readonly estimated?: boolean;
}

/** What the planner was asked in `begin`, and how its answer was read. */
export interface Asked {
  readonly outline: ModelOutline;
  /** Checked. */
  readonly firstLayers: readonly number[];
}

/** @throws {SplitError} UNSUPPORTED - the splitter says nothing of its shards before it wrote them */
export async function previewOf(
  { name, shards: amounts }: Pick<Splitter, 'name' | 'shards'>,
  begun: unknown,
  asked: Asked | undefined,
  outlineModel: () => Promise<ModelOutline>,
): Promise<SplitPreview> {
  const shards = amounts?.(begun);
  // One that cuts where it wants asks nobody: then the model is what a built-in splitter sees in it, if any does.
  const outline = asked?.outline ?? (shards && (await outlineModel().catch(() => undefined)));
  if (outline && shards) return { outline, shards };
  if (!asked) {
    throw new SplitError(
      'UNSUPPORTED',
      `splitter '${name}' cannot say what its shards take before it wrote them: it neither asks context.plan in begin() nor has shards().`,
    );
  }
  return { outline: asked.outline, shards: estimate(asked), estimated: true };
}

function estimate({ outline, firstLayers }: Asked): ShardAmounts[] {
  return splitRanges(firstLayers, outline.layers.length).map((range) => {
    const held = rangeAmounts(outline, range);
    return { ...range, ...held, fileBytes: held.residentBytes };
  });
}
