import { builtinPolicies } from '../policies/index.ts';
import { startGateway } from '../runtime/gateway/index.ts';
import { type ControlPlaneOptions, createControlPlane } from '../runtime/index.ts';
import { tracerFromEnvironment } from '../runtime/tracing/index.ts';
import { createGenerationDriver, createGraphRunner, measuredHops } from '../runtime/vdag/index.ts';
import { prepareDataDirectory } from './data-directory.ts';

export interface ServeOptions {
  /** Absolute; made when missing. */
  readonly dataDirectory: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly apiKeys: readonly string[];
  /** How long instances wait for a control plane before they end themselves. */
  readonly orphanTimeoutMs: number;
  /** How many decisions are kept, and how long. @default 1000, of any age */
  readonly decisions?: NonNullable<ControlPlaneOptions['decisions']>;
  readonly policyExecutors?: NonNullable<ControlPlaneOptions['policyExecutors']>;
  /** Absolute; what tasks may split. */
  readonly modelFolders?: readonly string[];
  /** Asked for OpenTelemetry's variables. @default nothing is traced */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
}

export interface Served {
  /** Without a path at its end. */
  readonly url: string;
  /** Ends answers, then instances, then the store. */
  close(): Promise<void>;
}

/** Composes the system in this process: store, policies, backends, driver and gateway. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { dataDirectory, log } = options;
  await prepareDataDirectory(dataDirectory);
  const tracer = tracerFromEnvironment(options.env ?? {}, log);
  const controlPlane = await createControlPlane({
    dataDirectory,
    policies: builtinPolicies,
    orphanTimeoutMs: options.orphanTimeoutMs,
    ...(options.decisions ? { decisions: options.decisions } : {}),
    ...(options.policyExecutors ? { policyExecutors: options.policyExecutors } : {}),
    ...(options.modelFolders ? { modelFolders: options.modelFolders } : {}),
    tracer,
    log,
  });
  const { directory, artifacts } = controlPlane;
  const resolveVdag = controlPlane.resolveVdag.bind(controlPlane);
  const { metrics } = controlPlane;
  const counted = metrics ? { requests: metrics.requests } : {};
  const driver = createGenerationDriver({
    ...{ resolveVdag, directory, artifacts, log, ...counted, ...(tracer ? { tracer } : {}) },
    ...(metrics ? { answers: metrics.answering, measuredHops: measuredHops(metrics) } : {}),
  });
  const runner = createGraphRunner({ resolveVdag, directory, driver, ...counted });

  const closeAll = async (): Promise<void> => {
    runner.close();
    await driver.close();
    await controlPlane.close();
    await tracer?.close();
  };
  try {
    const { host, port, apiKeys } = options;
    const gateway = await startGateway({
      ...{ controlPlane, driver, runner, host, port, apiKeys, tracer, log },
    });
    return {
      url: gateway.url,
      async close() {
        await gateway.close();
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
