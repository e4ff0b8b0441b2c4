import { AiosError } from '../errors.ts';
import { formatVersionedName, parseVersionedName } from '../ids.ts';
import type { Located } from './located.ts';
import type { Draft } from './reading.ts';

/** Every spelling of the tag that AIOS's records use. */
export const releaseTagNames = ['releaseTag', 'release-tag', 'release_tag', 'tag'] as const;

/** The pieces of a URI as the document states them. */
export interface Identity {
  readonly uri: Located;
  /** Components only. */
  readonly componentType?: Located;
  readonly name: Located;
  readonly version: Located;
  readonly releaseTag: Located;
}

type Pieces = Readonly<Record<string, string | undefined>>;

/** `node.algorithm.yolo` → type `node.algorithm`, name `yolo`. */
function splitType(qualified: string): Pieces {
  const dot = Math.max(qualified.lastIndexOf('.'), 0);
  return { componentType: qualified.slice(0, dot), name: qualified.slice(dot + 1) };
}

function piecesOf(uri: unknown, typed: boolean): Pieces | undefined {
  if (typeof uri !== 'string') return undefined;
  try {
    const { name, version, releaseTag } = parseVersionedName(uri);
    return { ...(typed ? splitType(name) : { name }), version, releaseTag };
  } catch {
    return undefined;
  }
}

/** @returns undefined while a piece is missing or no text. */
function formUri(pieces: Readonly<Record<string, unknown>>, typed: boolean): string | undefined {
  const { componentType, name, version, releaseTag } = pieces;
  if (typeof name !== 'string' || typeof version !== 'string' || typeof releaseTag !== 'string') {
    return undefined;
  }
  if (typed && typeof componentType !== 'string') return undefined;
  return formatVersionedName({
    name: typed ? `${componentType}.${name}` : name,
    version,
    releaseTag,
  });
}

/**
 * Writes `uri` and its pieces: the pieces from the URI where they are absent, the URI from the pieces where it is. Where
 * both are given they must agree.
 *
 * @param check - throws what is wrong with a URI
 */
export function readIdentity(
  draft: Draft,
  { uri, ...stated }: Identity,
  check: (uri: string) => string,
): void {
  const { reading } = draft;
  const typed = stated.componentType !== undefined;
  for (const [piece, located] of Object.entries(stated)) draft.put(piece, located);
  if (uri.value === undefined) {
    // A missing piece, not the URI that would follow from it, is the problem.
    reading.follows('uri');
    const formed = formUri(draft.value, typed);
    if (formed === undefined) return;
    try {
      draft.derive('uri', check(formed));
    } catch (error) {
      reading.problem(stated.name, { message: AiosError.from(error).message });
    }
    return;
  }

  draft.put('uri', uri);
  const derived = piecesOf(uri.value, typed);
  for (const [piece, located] of Object.entries(stated)) {
    if (located.value !== undefined) continue;
    if (derived) draft.derive(piece, derived[piece]);
    else reading.follows(piece);
  }
  const formed = formUri(draft.value, typed);
  if (derived && formed !== undefined && formed !== uri.value) {
    reading.problem(uri, {
      message: 'differs from the type, name, version and tag beside it; leave it out',
      expected: `'${formed}'`,
    });
  }
}
