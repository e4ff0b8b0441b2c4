import { z } from 'zod';
import type { BlockStatus } from '../../sdk/client/api.ts';
import type { LayerNote, LayerStatus } from '../../sdk/client/layer.ts';
import { AiosError } from '../../sdk/errors.ts';
import { contentHash } from '../../sdk/ids.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { jsonObject } from '../../sdk/spec/common.ts';
import type { ComponentSpec } from '../../sdk/spec/component.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import { type Documents, shardLayerOf } from '../registry/index.ts';
import type { Store } from '../store/index.ts';

export const layerLimits = {
  /** Of one tenant. */
  noted: 10_000,
  /** JSON text of a note. */
  noteCharacters: 65_536,
} as const;

export interface LayersOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly blockStatus: (tenant: string, blockId: string) => Promise<BlockStatus>;
}

/** The layer registry: what runs is read from the documents, so it is never out of step with them. */
export interface Layers {
  /** In order of hash. */
  list(tenant: string): Promise<readonly LayerStatus[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, hash: string): Promise<LayerStatus>;
  /** @param document - a `LayerNoteRequest` @throws {AiosError} SPEC_INVALID, BUSY - too many are noted */
  register(tenant: string, document: unknown): Promise<LayerStatus>;
  /** @throws {AiosError} NOT_FOUND - nothing was noted */
  forget(tenant: string, hash: string): Promise<void>;
}

const noteRequest = z.strictObject({
  hash: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits'),
  model: z.string().min(1).max(200).optional(),
  metadata: jsonObject.default({}),
});

interface Found {
  readonly components: ComponentSpec[];
  readonly blockIds: string[];
}

export function createLayers({ store, documents, blockStatus }: LayersOptions): Layers {
  const keyOf = (tenant: string, id: string) => ({ tenant, kind: 'layer', id }) as const;

  async function findAll(tenant: string): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    const byUri = new Map<string, Found>();
    for (const { value } of await documents.list(tenant, 'component')) {
      const layer = shardLayerOf(value);
      if (!layer) continue;
      const known = found.get(layer.hash) ?? { components: [], blockIds: [] };
      known.components.push(value);
      found.set(layer.hash, known);
      byUri.set(value.uri, known);
    }
    for (const { id, value } of await documents.list(tenant, 'block')) {
      byUri.get(value.componentUri)?.blockIds.push(id);
    }
    return found;
  }

  /** Block → vDAGs. */
  async function usersOfBlocks(tenant: string): Promise<ReadonlyMap<string, readonly string[]>> {
    const users = new Map<string, string[]>();
    for (const { id, value } of await documents.list(tenant, 'vdag')) {
      for (const blockId of new Set(value.nodes.flatMap((node) => node.blockId ?? []))) {
        users.set(blockId, [...(users.get(blockId) ?? []), id]);
      }
    }
    return users;
  }

  async function describe(
    tenant: string,
    hash: string,
    { components, blockIds }: Found,
    users: ReadonlyMap<string, readonly string[]>,
    noted: LayerNote | undefined,
  ): Promise<LayerStatus> {
    const statuses = await Promise.all(
      blockIds.map((id) => blockStatus(tenant, id).catch(() => undefined)),
    );
    const stage = components.find((component) => component.stage)?.stage;
    const files = new Map(
      components
        .flatMap((component) => [...(component.stage?.files ?? component.graph?.files ?? [])])
        .map((file) => [file.hash as string, file.sizeBytes]),
    );
    return {
      hash,
      kind: stage ? 'stage' : components.length > 0 ? 'graph' : 'registered',
      ...(stage ? { layers: [stage.firstLayer, stage.lastLayer] as const } : {}),
      fileBytes: [...files.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0),
      components: components.map(({ uri }) => uri),
      blocks: statuses.flatMap((status) => {
        if (!status) return [];
        const { spec, instances, wantedInstances } = status;
        const memoryBytes = spec.resources?.memoryBytes;
        const readyInstances = instances.filter(({ state }) => state === 'ready').length;
        return {
          ...{ id: spec.id as string, readyInstances, wantedInstances },
          ...(memoryBytes === undefined ? {} : { memoryBytes }),
        };
      }),
      vdags: [...new Set(blockIds.flatMap((id) => users.get(id) ?? []))].sort(),
      ...(noted ? { noted } : {}),
    };
  }

  async function get(tenant: string, hash: string): Promise<LayerStatus> {
    const found = (await findAll(tenant)).get(hash);
    const noted = (await store.get<LayerNote>(keyOf(tenant, hash)))?.value;
    if (found || noted) {
      const known = found ?? { components: [], blockIds: [] };
      return describe(tenant, hash, known, await usersOfBlocks(tenant), noted);
    }
    throw new AiosError(
      'NOT_FOUND',
      `layer '${hash.slice(0, 80)}' neither runs nor is registered. List what there is with: aios get layers`,
    );
  }

  return {
    get,
    async list(tenant) {
      const found = await findAll(tenant);
      const users = await usersOfBlocks(tenant);
      const notes = await store.list<LayerNote>(tenant, 'layer');
      const noted = new Map(notes.map(({ id, value }) => [id, value]));
      const hashes = [...new Set([...found.keys(), ...noted.keys()])].sort();
      return Promise.all(
        hashes.map((hash) => {
          const known = found.get(hash) ?? { components: [], blockIds: [] };
          return describe(tenant, hash, known, users, noted.get(hash));
        }),
      );
    },
    async register(tenant, document) {
      assertBounded('layer', document);
      const { hash, model, metadata } = parseAs('the layer', noteRequest, document);
      const note: LayerNote = {
        ...(model === undefined ? {} : { model }),
        metadata: metadata as NonNullable<LayerNote['metadata']>,
        notedAtMs: Date.now(),
      };
      if (JSON.stringify(note).length > layerLimits.noteCharacters) {
        throw new AiosError(
          'REQUEST_TOO_LARGE',
          `the note of a layer may hold ${layerLimits.noteCharacters} characters of JSON.`,
        );
      }
      const notes = await store.list(tenant, 'layer');
      if (notes.length >= layerLimits.noted && !notes.some(({ id }) => id === hash)) {
        throw new AiosError(
          'BUSY',
          `${notes.length} layers are registered, the most that are kept. Forget some.`,
          { retryable: false },
        );
      }
      await store.commit([{ ...keyOf(tenant, hash), type: 'put', value: note }]);
      return get(tenant, hash);
    },
    async forget(tenant, hash) {
      const key = keyOf(tenant, contentHash(hash));
      if (!(await store.get(key))) {
        throw new AiosError('NOT_FOUND', `nothing is noted of layer '${hash}'.`);
      }
      await store.commit([{ ...key, type: 'delete' }]);
    },
  };
}
