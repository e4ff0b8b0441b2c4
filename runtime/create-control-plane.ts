import { randomUUID } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError, type Problem } from '../sdk/errors.ts';
import type { ClusterSpec } from '../sdk/spec/cluster.ts';
import { createAdmission, openNetworkBook, withDefaults } from './admission/index.ts';
import { createArtifactStore, createArtifactUpkeep } from './artifact/index.ts';
import { type BlockManager, createBlockManager } from './block/index.ts';
import {
  type ClusterBackend,
  createLocalBackend,
  createSimulatedBackend,
} from './cluster/index.ts';
import type { ControlPlane, ControlPlaneOptions } from './control-plane.ts';
import { createControlPlaneApi } from './control-plane-api.ts';
import { type Controls, createControls } from './create-controls.ts';
import { openDecisionLog, openDecisionServices } from './decision/index.ts';
import { createLayers } from './layer/index.ts';
import { createInventory, createMetrics, createSpeedBook } from './metrics/index.ts';
import { createPlacement } from './placement/index.ts';
import { createPolicyHost } from './policy/index.ts';
import { openJobs } from './policy-job/index.ts';
import { createRegistry, createSerial } from './registry/index.ts';
import { openCordons } from './scaling/index.ts';
import { freeNodes, openSplitService } from './split-task/index.ts';
import { createSqliteStore } from './store/index.ts';
import { recordShardSpans } from './tracing/index.ts';

/** What was opened, so that it can be closed in the opposite order: at the end, or when a later part does not open. */
class Opened {
  readonly #closers: (() => Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  add<T extends { close(): Promise<void> }>(part: T): T {
    this.#closers.push(() => part.close());
    return part;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const faults: unknown[] = [];
    for (const close of this.#closers.reverse()) {
      await close().catch((error: unknown) => faults.push(error));
    }
    if (faults.length > 0) throw AiosError.from(faults[0]);
  }
}

/**
 * Names this data directory on the command line of its processes. Holds its place too: a copy of the directory must never
 * end the processes of the original.
 */
async function readDataId(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, 'id');
  const known = await readFile(path, 'utf8').catch(() => '');
  const id = /^[0-9a-f-]{36}$/.test(known.trim()) ? known.trim() : randomUUID();
  if (known.trim() !== id) await writeFile(path, `${id}\n`, { mode: 0o600 });
  return `${id}:${Buffer.from(realpathSync(dataDirectory)).toString('base64url')}`;
}

function packageVersion(): string {
  const fromSources = import.meta.url.endsWith('.ts');
  const file = new URL(fromSources ? '../package.json' : '../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

async function checkCluster(
  cluster: ClusterSpec,
  backends: ReadonlyMap<string, ClusterBackend>,
): Promise<readonly Problem[]> {
  const backend = backends.get(cluster.backend);
  if (!backend) {
    const expected = `one of: ${[...backends.keys()].join(', ')}`;
    return [
      {
        path: '$.backend',
        message: 'is no backend of this control plane',
        expected,
        seen: cluster.backend,
      },
    ];
  }
  try {
    await backend.check(cluster);
    return [];
  } catch (error) {
    return [{ path: '$.nodes', message: AiosError.from(error).message }];
  }
}

/**
 * Starts a control plane on a data directory: everything that was declared there comes back, instances from before are
 * taken back or ended, and afterwards ledger, documents and processes agree.
 *
 * @throws {StoreError} STORE_LOCKED, STORE_CORRUPT, STORE_UNAVAILABLE
 * @throws {PolicyError} POLICY_DEFAULT_MISSING
 */
export async function createControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dataDirectory, orphanTimeoutMs = 30_000, tracer, log = () => undefined } = options;
  const opened = new Opened();
  let manager: BlockManager | undefined;
  let controls: Controls | undefined;
  try {
    const store = opened.add(createSqliteStore(join(dataDirectory, 'aios.db')));
    const artifacts = await createArtifactStore({ dataDirectory, store });
    const host = opened.add(
      createPolicyHost({
        builtins: options.policies,
        store,
        loadArtifact: async (hash) => readFile(await artifacts.path(hash), 'utf8'),
        executors: options.policyExecutors,
      }),
    );
    const exclusive = createSerial();
    const book = await openNetworkBook({
      ...{ store, policies: host, exclusive },
      onChange: () => manager?.retryPending(),
    });
    const policies = withDefaults(host, {
      network: (tenant) => book.get(tenant).policies,
      cluster: (tenant, id) => inventory.cluster(tenant, id)?.spec.policies,
    });
    const decisions = opened.add(
      await openDecisionLog({
        store,
        log,
        ...(options.decisions ? { retention: options.decisions } : {}),
      }),
    );
    const decisionServices = opened.add(await openDecisionServices(store, decisions, policies));
    const local = opened.add(
      await createLocalBackend({
        dataDirectory,
        dataId: await readDataId(dataDirectory),
        artifactPath: artifacts.path,
      }),
    );
    const simulated = opened.add(createSimulatedBackend());
    const backends = new Map<string, ClusterBackend>([
      [local.name, local],
      [simulated.name, simulated],
    ]);
    const speeds = createSpeedBook();
    const inventory = opened.add(
      createInventory({
        ...{ backends, log, speedOf: speeds.node },
        onMeasured: () => manager?.retryPending('room'),
      }),
    );
    const placement = createPlacement({
      host: policies,
      inventory: (tenant) => ({
        clusters: inventory.clusters(tenant),
        revision: inventory.revision,
      }),
      admits: (tenant, block, clusterId) => admission.joins(tenant, block, clusterId),
      runs: (cluster, workload) => backends.get(cluster.backend)?.runs.includes(workload) ?? false,
      blockTags: (tenant, blockId) => manager?.tagsOf(tenant, blockId) ?? [],
      blockPriority: (tenant, blockId) => manager?.priorityOf(tenant, blockId) ?? 0,
      startedAtMs: (tenant, instanceId) => manager?.startedAtMs(tenant, instanceId) ?? 0,
    });
    const admission = createAdmission({
      policies,
      network: (tenant) => book.get(tenant).preChecks,
      cluster: (tenant, id) => inventory.cluster(tenant, id)?.spec.preChecks,
      snapshot(tenant, id) {
        const view = inventory.cluster(tenant, id);
        return view && placement.snapshot(tenant, view);
      },
      inventoryRevision: () => inventory.revision,
      record: (decision) => decisions.record(decision),
    });
    for (const tenant of await store.tenants()) {
      for (const { value } of await store.list<ClusterSpec>(tenant, 'cluster')) {
        inventory.setCluster(tenant, value);
        placement.ledgerOf(tenant).setCluster(value);
      }
    }
    const cordons = opened.add(await openCordons({ store, inventory, exclusive, log }));
    const metrics = opened.add(
      createMetrics({
        ...{ inventory, log, speeds, snapshot: placement.snapshot },
        blocks: async () => (await manager?.readings()) ?? [],
      }),
    );
    const registry = createRegistry({
      store,
      artifacts,
      policies,
      exclusive,
      checkCluster: (cluster) => checkCluster(cluster, backends),
      isBuiltInPolicy: async (tenant, uri) =>
        (await policies.list(tenant)).some((p) => p.uri === uri && p.origin === 'built-in'),
    });
    const blocks = opened.add(
      await createBlockManager({
        store,
        documents: registry,
        placement,
        inventory,
        policies,
        decisions,
        backends,
        exclusive,
        orphanTimeoutMs,
        onFailure: async (...failure) => controls?.onFailure(...failure),
        requests: metrics.requests,
        onSpans: tracer && ((...reported) => recordShardSpans(tracer, ...reported)),
        log,
      }),
    );
    manager = blocks;
    const jobs = opened.add(
      await openJobs({
        ...{ store, policies, log },
        nodes: (tenant) =>
          inventory.clusters(tenant).flatMap((view) => placement.snapshot(tenant, view).nodes),
      }),
    );
    controls = opened.add(
      createControls({
        ...{ store, registry, inventory, metrics, placement, blocks, policies, decisions },
        ...{ cordons, book, admission, exclusive, jobs, log },
      }),
    );
    await inventory.measure();
    await metrics.collect();
    const { changes } = controls;
    const layers = createLayers({ store, documents: registry, blockStatus: blocks.status });
    const splits = opened.add(
      await openSplitService({
        ...{ dataDirectory, store, artifacts, policies, layers, placement, log },
        modelFolders: options.modelFolders ?? [],
        fitFor: (tenant, clusterIds) =>
          freeNodes({ inventory, placement, speeds }, tenant, clusterIds),
        inventoryRevision: () => inventory.revision,
        record: (decision) => decisions.record(decision),
        createPlan: (tenant, plan) => changes.createPlan(tenant, plan),
      }),
    );
    return createControlPlaneApi({
      store,
      artifacts,
      upkeep: createArtifactUpkeep({ blobs: artifacts.blobs, store, exclusive }),
      policies,
      inventory,
      cordons,
      metrics,
      decisions: decisionServices,
      ...{ layers, splits },
      placement,
      registry,
      blocks,
      controls,
      close: () => opened.close(),
      facts: {
        version: packageVersion(),
        pid: process.pid,
        startedAtMs: Date.now(),
        dataDirectory,
      },
    });
  } catch (error) {
    await opened.close().catch(() => undefined);
    throw error;
  }
}
