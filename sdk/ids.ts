import { AiosError } from './errors.ts';

declare const brand: unique symbol;
/** A string that has been checked to be of one kind. */
export type Branded<Kind extends string> = string & { readonly [brand]: Kind };

/** `type.name:version-releaseTag`; the type may itself hold dots. */
export type ComponentUri = Branded<'component-uri'>;
/** `name:version-releaseTag`; in references the tag may be missing. */
export type PolicyUri = Branded<'policy-uri'>;
/** `name:version-releaseTag`. */
export type VdagUri = Branded<'vdag-uri'>;
export type BlockId = Branded<'block-id'>;
export type ClusterId = Branded<'cluster-id'>;
export type NodeId = Branded<'node-id'>;
export type InstanceId = Branded<'instance-id'>;
/** `sha256:` and 64 hexadecimal digits. */
export type ContentHash = Branded<'content-hash'>;

export interface VersionedName {
  readonly name: string;
  /** Opaque: never parsed, ordered or compared. May itself hold hyphens. */
  readonly version: string;
  /** Absent in a tagless reference such as `name:v1`. */
  readonly releaseTag?: string;
}

const namePattern = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/;
const versionPattern = /^[A-Za-z0-9][A-Za-z0-9._+-]*$/;
const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._+]*$/;
const idPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const looseIdPattern = /^[A-Za-z0-9](?:[-_.A-Za-z0-9]*[A-Za-z0-9])?$/;
const hashPattern = /^sha256:[0-9a-f]{64}$/;

const versionedName = '[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?';
const taggedVersion = '[A-Za-z0-9][A-Za-z0-9._+-]*-[A-Za-z0-9][A-Za-z0-9._+]*';
const versionMaybeTagged = `(?:${taggedVersion}|[A-Za-z0-9][A-Za-z0-9._+]*)`;

/** What the checks below accept, as regular expressions for JSON Schemas; lengths up to {@link maxIdLength}. */
export const idPatterns = {
  componentUri: `^(?=[^:]*\\.)${versionedName}:${taggedVersion}$`,
  policyUri: `^${versionedName}:${versionMaybeTagged}$`,
  vdagUri: `^${versionedName}:${versionMaybeTagged}$`,
  blockId: idPattern.source,
  clusterId: looseIdPattern.source,
  nodeId: looseIdPattern.source,
  contentHash: hashPattern.source,
} as const;

/** Longest identifier, in characters (as in DNS). */
export const maxIdLength = 253;

function malformed(what: string, text: string, expected: string): AiosError {
  return new AiosError(
    'URI_MALFORMED',
    `${what} ${JSON.stringify(text)} is malformed; expected ${expected}.`,
    {
      details: { seen: text, expected },
    },
  );
}

/**
 * Reads `name:version-releaseTag`. The tag is what follows the last hyphen; versions are opaque and may hold
 * hyphens themselves.
 *
 * @throws {AiosError} URI_MALFORMED
 */
export function parseVersionedName(text: string): VersionedName {
  const expected = "'name:version-releaseTag' (letters, digits, '.', '_', '-')";
  const colon = text.indexOf(':');
  const name = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (
    colon < 1 ||
    text.length > maxIdLength ||
    !namePattern.test(name) ||
    !versionPattern.test(rest)
  ) {
    throw malformed('URI', text, expected);
  }
  const hyphen = rest.lastIndexOf('-');
  if (hyphen < 0) return { name, version: rest };
  const version = rest.slice(0, hyphen);
  const releaseTag = rest.slice(hyphen + 1);
  if (!version || !tagPattern.test(releaseTag)) throw malformed('URI', text, expected);
  return { name, version, releaseTag };
}

/** The inverse of {@link parseVersionedName}. */
export function formatVersionedName({ name, version, releaseTag }: VersionedName): string {
  return releaseTag === undefined ? `${name}:${version}` : `${name}:${version}-${releaseTag}`;
}

export function componentUri(text: string): ComponentUri {
  const { name, releaseTag } = parseVersionedName(text);
  if (releaseTag === undefined || !name.includes('.')) {
    throw malformed('component URI', text, "'type.name:version-releaseTag'");
  }
  return text as ComponentUri;
}

/** Accepts a tagless reference; the registry resolves it exactly or reports the ambiguity. */
export function policyUri(text: string): PolicyUri {
  parseVersionedName(text);
  return text as PolicyUri;
}

export function vdagUri(text: string): VdagUri {
  parseVersionedName(text);
  return text as VdagUri;
}

function checkedId(what: string, text: string): string {
  if (text.length > maxIdLength || !idPattern.test(text)) {
    throw malformed(what, text, "lower-case letters, digits and '-', at most 253 characters");
  }
  return text;
}

export const blockId = (text: string): BlockId => checkedId('block id', text) as BlockId;
export const instanceId = (text: string): InstanceId =>
  checkedId('instance id', text) as InstanceId;

function checkedLooseId(what: string, text: string): string {
  if (text.length > maxIdLength || !looseIdPattern.test(text)) {
    throw malformed(what, text, "letters, digits, '-', '_' and '.', at most 253 characters");
  }
  return text;
}

export const clusterId = (text: string): ClusterId =>
  checkedLooseId('cluster id', text) as ClusterId;
export const nodeId = (text: string): NodeId => checkedLooseId('node id', text) as NodeId;

export function contentHash(text: string): ContentHash {
  if (!hashPattern.test(text))
    throw malformed('content hash', text, "'sha256:' and 64 hexadecimal digits");
  return text as ContentHash;
}

/** The tenant of everything while no keys exist. A client never states it. */
export const defaultTenant = 'default';
