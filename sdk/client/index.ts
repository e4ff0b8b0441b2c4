/**
 * A typed client for a control plane: everything the command line does.
 *
 * @example
 * import { connect } from 'aios-sdk/client';
 * const aios = connect('http://127.0.0.1:7420');
 * for await (const event of aios.chat({ model: 'tiny-assistant', messages })) {
 *   if (event.type === 'text') process.stdout.write(event.text);
 * }
 * @module
 */
import { ClientError } from '../errors.ts';
import type { ComponentSpec } from '../spec/component.ts';
import type { SplitPlan } from '../spec/plan.ts';
import {
  apiPrefix,
  type BlockStatus,
  type ClusterStatus,
  type Created,
  type CreatedPlan,
  type Decision,
  type InferEvent,
  type PlacementPreview,
  type ResourceKind,
  type ResourceSpecs,
  resourceKinds,
  type SystemStatus,
  type VdagStatus,
} from './api.ts';
import type { ArtifactCalls } from './artifact.ts';
import { createArtifactCalls } from './artifact-calls.ts';
import { type ChatEvent, type ChatRequest, streamChat } from './chat.ts';
import { type ControlCalls, createControlCalls } from './control-calls.ts';
import { createDecisionCalls, type DecisionCalls } from './decisions.ts';
import { type ConnectOptions, createHttp } from './http.ts';
import type { LayerCalls } from './layer.ts';
import { createLayerCalls } from './layer-calls.ts';
import type { SplitTaskCalls } from './split-task.ts';
import { createSplitTaskCalls } from './split-task-calls.ts';

export type * from './api.ts';
export { apiPrefix, resourceKinds } from './api.ts';
export type {
  ArtifactCalls,
  ArtifactCount,
  ArtifactPruneRequest,
  ArtifactPruning,
  ArtifactUsage,
} from './artifact.ts';
export type { AnswerTimings, ChatEvent, ChatMessage, ChatRequest, HopTiming } from './chat.ts';
export type * from './control.ts';
export type { ControlCalls } from './control-calls.ts';
export type { DecisionCalls, ShadowRequest } from './decisions.ts';
export type { ConnectOptions } from './http.ts';
export type { LayerBlock, LayerCalls, LayerNote, LayerNoteRequest, LayerStatus } from './layer.ts';
export type {
  ModelFolder,
  SplitTask,
  SplitTaskCalls,
  SplitTaskRequest,
  SplitTaskState,
} from './split-task.ts';
export { isSplitTaskOver, splitTaskStates } from './split-task.ts';

/** A policy as the list shows it: built-in or uploaded. */
export interface PolicyListing {
  readonly uri: string;
  readonly hook: string;
  readonly description: string;
  readonly origin?: 'built-in' | 'uploaded';
}

/** What `get` and `list` answer. */
export interface ResourceViews {
  component: ComponentSpec;
  block: BlockStatus;
  vdag: VdagStatus;
  policy: PolicyListing;
  cluster: ClusterStatus;
}

export interface Change {
  readonly kind: string;
  readonly id: string;
  readonly type: 'put' | 'delete';
}

export interface InferRequest {
  readonly kind: 'block' | 'vdag';
  readonly id: string;
  readonly data: unknown;
  readonly sessionId?: string | undefined;
  /** How long the answer may take. @default the server's own limit */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LogOptions {
  /** Lines from before. @default 100 */
  readonly tail?: number | undefined;
  /** Wait for more. @default false */
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ArtifactReceipt {
  readonly hash: string;
  readonly sizeBytes: number;
}

/**
 * Every method rejects with an AiosError; CONNECTION_FAILED when nobody answers, CANCELLED when the signal given
 * aborts.
 */
export interface AiosClient
  extends DecisionCalls,
    ControlCalls,
    LayerCalls,
    SplitTaskCalls,
    ArtifactCalls {
  /** Without a slash at its end. */
  readonly url: string;
  status(options?: { readonly signal?: AbortSignal }): Promise<SystemStatus>;
  /** @param document - in our plain form or in the AIOS form */
  create<K extends ResourceKind>(
    kind: K,
    document: unknown,
    options?: { readonly replace?: boolean | undefined },
  ): Promise<Created<ResourceSpecs[K]>>;
  /** Where a block would go and why. Stores nothing. */
  dryRunBlock(document: unknown): Promise<Decision>;
  /** Every place that an instance could have now, and what it would leave free there. Stores nothing. */
  previewBlock(document: unknown): Promise<PlacementPreview>;
  /** Components, blocks and vDAG of a split model: all or nothing. Its artifacts must be uploaded already. */
  createPlan(
    plan: SplitPlan,
    /** `share: false`: no block of another model serves this one too. */
    options?: { readonly share?: boolean | undefined },
  ): Promise<CreatedPlan>;
  list<K extends ResourceKind>(kind: K): Promise<readonly ResourceViews[K][]>;
  get<K extends ResourceKind>(kind: K, id: string): Promise<ResourceViews[K]>;
  delete(kind: ResourceKind, id: string): Promise<void>;
  /** Every decision about a block, newest first. */
  explain(blockId: string): Promise<readonly Decision[]>;
  logs(
    target: { readonly blockId: string } | { readonly instanceId: string },
    options?: LogOptions,
  ): AsyncIterable<string>;
  /** Changes from now on. */
  watch(options?: { readonly signal?: AbortSignal }): AsyncIterable<Change>;
  /** Partial results as they come; the last has `final: true`. */
  infer(request: InferRequest): AsyncIterable<InferEvent>;
  hasArtifact(hash: string): Promise<boolean>;
  uploadArtifact(
    hash: string,
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ArtifactReceipt>;
  /** On the server's own machine: where to put a file instead of sending it. */
  openLink(sizeBytes: number): Promise<{ readonly ticket: string; readonly path: string }>;
  commitLink(ticket: string, hash: string): Promise<ArtifactReceipt>;
  /** Names to ask `chat` for. */
  models(): Promise<readonly string[]>;
  /** @returns the URI of a model, by URI or by bare name while that is unique; NOT_FOUND when there is none */
  model(name: string): Promise<string>;
  chat(request: ChatRequest): AsyncGenerator<ChatEvent, void, void>;
}

function baseUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new ClientError(
      'REQUEST_INVALID',
      `'${url}' is not the address of a control plane; expected one such as http://127.0.0.1:7420.`,
    );
  }
  return url.replace(/\/+$/, '');
}

const segment = encodeURIComponent;

/**
 * @param url - such as `http://127.0.0.1:7420`; nothing is sent before the first call
 * @throws {AiosError} REQUEST_INVALID - not an http(s) address
 */
export function connect(url: string, options: ConnectOptions = {}): AiosClient {
  const base = baseUrl(url);
  const http = createHttp(base, options);
  const resource = (kind: ResourceKind, id: string): string =>
    `${apiPrefix}/${resourceKinds[kind]}/${segment(id)}`;

  return {
    ...createDecisionCalls(http),
    ...createControlCalls(http),
    ...createLayerCalls(http),
    ...createSplitTaskCalls(http),
    ...createArtifactCalls(http),
    url: base,
    status: ({ signal } = {}) => http.json(`${apiPrefix}/status`, { signal }),
    create: (kind, document, { replace } = {}) =>
      http.json(`${apiPrefix}/${resourceKinds[kind]}${replace ? '?replace=true' : ''}`, {
        json: document,
      }),
    dryRunBlock: (document) => http.json(`${apiPrefix}/blocks?dryRun=true`, { json: document }),
    previewBlock: (document) => http.json(`${apiPrefix}/blocks?preview=true`, { json: document }),
    createPlan: (plan, { share = true } = {}) =>
      http.json(`${apiPrefix}/plans${share ? '' : '?share=false'}`, { json: plan }),
    list: (kind) => http.json(`${apiPrefix}/${resourceKinds[kind]}`),
    get: (kind, id) => http.json(resource(kind, id)),
    delete: (kind, id) => http.json(resource(kind, id), { method: 'DELETE' }),
    explain: (blockId) => http.json(`${resource('block', blockId)}/explain`),

    logs(target, { tail = 100, follow = false, signal } = {}) {
      const path =
        'blockId' in target
          ? resource('block', target.blockId)
          : `${apiPrefix}/instances/${segment(target.instanceId)}`;
      return http.events<string>(`${path}/logs?tail=${tail}&follow=${follow}`, { signal });
    },

    watch: ({ signal } = {}) => http.events<Change>(`${apiPrefix}/watch`, { signal }),

    infer: ({ kind, id, data, sessionId, signal, timeoutMs }) =>
      http.events<InferEvent>(`${apiPrefix}/infer/${kind}/${segment(id)}`, {
        json: { data, sessionId, stream: true },
        signal,
        timeoutMs,
      }),

    hasArtifact: (hash) => http.exists(`${apiPrefix}/artifacts/${segment(hash)}`),
    uploadArtifact: (hash, bytes, { signal } = {}) =>
      http.json(`${apiPrefix}/artifacts/${segment(hash)}`, { method: 'PUT', bytes, signal }),
    openLink: (sizeBytes) => http.json(`${apiPrefix}/artifacts/links`, { json: { sizeBytes } }),
    commitLink: (ticket, hash) =>
      http.json(`${apiPrefix}/artifacts/links/${segment(ticket)}`, { json: { hash } }),

    async models() {
      const { data } = await http.json<{ data: { id: string }[] }>('/v1/models');
      return data.map(({ id }) => id);
    },
    async model(name) {
      return (await http.json<{ id: string }>(`/v1/models/${segment(name)}`)).id;
    },
    chat: (request) => streamChat(http, request),
  };
}
