import { AiosError } from '../../sdk/errors.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import { digestOf } from '../policy/index.ts';
import type { Operation, Store } from '../store/store.ts';

/** Versions with this release tag may change: they are for trying things. */
const draftTag = 'dev';

interface PublishedVersion {
  readonly digest: string;
  readonly artifactHash?: string;
}

/**
 * A version means one thing for ever, also after it was deleted: decisions name it, and are replayed with it.
 *
 * @returns what to commit with the document, so that the version is remembered; nothing for the very same again
 * @throws {AiosError} ALREADY_EXISTS - published before, with other content
 */
export async function rememberVersion(
  store: Store,
  tenant: string,
  spec: PolicySpec,
): Promise<readonly Operation[] | undefined> {
  if (spec.releaseTag === draftTag) return [];
  const key = { tenant, kind: 'policy-version', id: spec.uri } as const;
  const version: PublishedVersion = {
    // As it would be read back: JSON knows no `undefined`.
    digest: digestOf(JSON.parse(JSON.stringify(spec))),
    ...(spec.artifact ? { artifactHash: spec.artifact.hash } : {}),
  };
  const published = await store.get<PublishedVersion>(key);
  if (!published) return [{ ...key, type: 'put', value: version, ifRevision: 0 }];
  if (published.value.digest === version.digest) return undefined;
  const { artifactHash: publishedHash = published.value.digest } = published.value;
  throw new AiosError(
    'ALREADY_EXISTS',
    `policy '${spec.uri}' is published with other content (${publishedHash}), and a published version never changes. Raise its version; while you try things, use the release tag '${draftTag}'.`,
    { details: { kind: 'policy', id: spec.uri, publishedHash } },
  );
}
