import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/run.ts';
import { createTopReadings } from '../../../cli/top/readings.ts';
import { openScreen } from '../../../cli/top/screen.ts';
import type {
  InstanceStatus,
  ModelServing,
  ShardCounters,
  SystemStatus,
} from '../../../sdk/client/api.ts';
import { aios, type FakeServer, serve } from './harness.ts';
import { FakeTerminal, terminalIo } from './terminal.ts';

const shard = (seconds: number): ShardCounters => ({
  ...{ openSessions: 3, maxOpenSessions: 4, maxSessions: 8, sessionsOpened: 9, sessionsClosed: 6 },
  ...{ steps: 100 * seconds, tokens: 90 * seconds, sessionSwitches: 0, queuedSteps: 2 },
  ...{ framesIn: 0, framesOut: 0, bytesIn: 2048 * seconds, bytesOut: 1024 * seconds },
  ...{ payloadCopies: 0, maxQueuedFrames: 0, kvTokens: 1024, kvCapacityTokens: 4096 },
  ...{ sharedTokens: 0, kvMoves: 0, decodeSteps: 100 * seconds, decodeBatches: 40 * seconds },
  ...{ maxBatchSteps: 4, lastBatchSteps: 3, prefillChunks: 0, prefillTokens: 0, outputCopies: 0 },
  ...{ computeMs: 750 * seconds, decodeMs: 700 * seconds, waitMs: 200 * seconds },
  countedAtMs: 1e12 + 1000 * seconds,
});
const serving = (seconds: number): ModelServing => ({
  ...{ waiting: 5, openSessions: 3, slots: 8, answersTotal: seconds, busyTotal: 0 },
  ...{ promptTokensTotal: 50 * seconds, tokensTotal: 30 * seconds },
  ...{ firstTokensTotal: seconds, timeToFirstTokenMsTotal: 400 * seconds },
});

/** The system so many seconds after its start. */
function system(seconds: number, restarted = false): SystemStatus {
  const instance = {
    ...{ id: 'shard-0-a', blockId: 'shard-0', clusterId: 'home', nodeId: 'n1', state: 'ready' },
    ...{ gpus: [], restarts: 0, memoryBytes: 1, outstandingRequests: 3, residentBytes: 2 ** 28 },
    counters: { ...shard(seconds), ...(restarted ? { steps: 1, computeMs: 1, bytesIn: 1 } : {}) },
  } as const satisfies InstanceStatus;
  return {
    ...{ version: '1', pid: 1, startedAtMs: 0, dataDirectory: 'd', clusters: [] },
    blocks: [
      {
        ...{ revision: 1, state: 'running', wantedInstances: 1, instances: [instance] },
        spec: { id: 'shard-0' } as SystemStatus['blocks'][number]['spec'],
      },
    ],
    vdags: [
      {
        ...{ revision: 1, ready: true, waitingFor: [], serving: serving(seconds) },
        spec: { uri: 'm:1-stable' } as SystemStatus['vdags'][number]['spec'],
      },
    ],
  };
}

let server: FakeServer | undefined;
afterEach(() => server?.close());

/** Every reading is a second after the one before. */
async function living(): Promise<FakeServer> {
  let seconds = 0;
  server = await serve({
    'GET /api/status': (_request, response) => {
      seconds += 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(system(seconds)));
    },
  });
  return server;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('readings', () => {
  it('are speeds between two, by the clock of whoever counted', () => {
    const readings = createTopReadings();
    readings.take(system(10), 5000);
    const view = readings.take(system(12), 7000);

    expect(view.vdags).toEqual([
      {
        ...{ uri: 'm:1-stable', ready: true, openSessions: 3, slots: 8, waiting: 5 },
        ...{ tokensPerSecond: 30, promptTokensPerSecond: 50, busyPerSecond: 0 },
        timeToFirstTokenMs: 400,
      },
    ]);
    expect(view.shards[0]).toMatchObject({
      ...{ meanBatchSteps: 2.5, computeFraction: 0.75, waitPerStepMs: 2 },
      ...{ bytesInPerSecond: 2048, bytesOutPerSecond: 1024, kvTokens: 1024 },
    });
  });

  it('stay as they were while a shard has not counted again', () => {
    const readings = createTopReadings();
    readings.take(system(10), 5000);
    const before = readings.take(system(12), 7000).shards;

    expect(readings.take(system(12), 7100).shards).toEqual(before);
  });

  it('say nothing of speed at first, nor of a shard that began anew', () => {
    const readings = createTopReadings();
    expect(readings.take(system(10), 5000).shards[0]).not.toHaveProperty('computeFraction');
    const again = readings.take(system(12, true), 7000).shards[0];

    expect(again).not.toHaveProperty('computeFraction');
    expect(again).not.toHaveProperty('bytesInPerSecond');
  });
});

describe('the screen', () => {
  it('writes only lines that changed, clears what is gone, and cuts at the edge', () => {
    const terminal = new FakeTerminal(40, 4);
    const screen = openScreen(terminal, () => {});
    screen.draw(['one', 'two', 'three']);
    expect(terminal.lines).toEqual(['one', 'two', 'three']);
    const before = terminal.written.length;
    screen.draw(['one', 'TWO', 'three']);
    expect(terminal.written.slice(before)).toEqual(['\x1b[2;1HTWO\x1b[0m\x1b[K']);
    screen.draw(['one', 'TWO', 'three']);
    expect(terminal.written).toHaveLength(before + 1);
    screen.draw(['one']);
    expect(terminal.lines).toEqual(['one', '', '']);
    screen.draw(['1', '2', '3', '4', '5', '6']);
    expect(terminal.lines).toEqual([
      '1',
      '2',
      '3',
      '… 3 more lines; enlarge the window to see them',
    ]);
  });
});

describe('aios top', () => {
  it('prints one table where nobody looks, and JSON for programs', async () => {
    const { url } = await living();
    const people = await aios(['top', '--interval', '200', '--url', url]);
    const once = await aios(['top', '--json', '--interval', '200', '--url', url]);

    expect(people.code).toBe(0);
    expect(people.out).toMatch(/^VDAG .*TOKENS\/S/);
    expect(people.out).toMatch(/shard-0-a {2}n1 .* 3 of 8 .* 25 % .* 2\.5 .* 75 %/);
    expect(people.out).not.toContain('\x1b');
    expect(JSON.parse(once.out).shards[0]).toMatchObject({ meanBatchSteps: 2.5 });
  });

  it('draws on a terminal until q, and leaves it as it was', async () => {
    const { url } = await living();
    const io = terminalIo();
    const ended = run(['top', '--interval', '200', '--url', url], io);
    await until(() => io.terminal.lines.some((line) => / 75 %/.test(line)));

    expect(io.terminal).toMatchObject({ alternate: true, cursorShown: false, wraps: false });
    expect(io.keyboard.raw).toBe(true);
    expect(io.terminal.lines[0]).toMatch(/^aios top .*q leaves$/);
    io.keyboard.write('\x1b[A');
    io.keyboard.write('q');
    expect(await ended).toBe(0);
    expect(io.terminal).toMatchObject({ alternate: false, cursorShown: true, wraps: true });
    expect(io.keyboard.raw).toBe(false);
    expect(io.terminal.listenerCount('resize')).toBe(0);
  });

  it('ends at Ctrl-C, as a key and as a signal', async () => {
    const { url } = await living();
    for (const how of ['key', 'signal']) {
      const io = terminalIo();
      const ended = run(['top', '--interval', '200', '--url', url], io);
      await until(() => io.terminal.alternate && io.terminal.lines.length > 3);
      if (how === 'key') io.keyboard.write('\x03');
      else io.signal('SIGINT');

      expect(await ended).toBe(0);
      expect(io.terminal.alternate).toBe(false);
    }
  });

  it('draws anew when the window changes its size', async () => {
    const { url } = await living();
    const io = terminalIo(new FakeTerminal(160, 30));
    const ended = run(['top', '--interval', '60s', '--url', url], io);
    await until(() => io.terminal.lines.length > 3);
    expect(io.terminal.lines.some((line) => line.startsWith('SHARD '))).toBe(true);
    const wide = io.terminal.lines.length;
    io.terminal.resize(50, 30);

    expect(io.terminal.lines.length).toBeGreaterThan(wide);
    expect(io.terminal.lines.slice(1).every((line) => line.length <= 50)).toBe(true);
    io.keyboard.write('q');
    await ended;
  });

  it('asks again when the control plane does not answer, and fails where it never did', async () => {
    const first = await living();
    const io = terminalIo();
    const ended = run(['top', '--interval', '200', '--url', first.url], io);
    await until(() => io.terminal.lines.length > 3);
    await first.close();
    await until(() => io.terminal.lines[0]?.includes('no answer') ?? false);
    io.keyboard.write('q');
    expect(await ended).toBe(0);

    const none = terminalIo();
    expect(await run(['top', '--url', first.url], none)).toBe(6);
    expect(none.terminal.alternate).toBe(false);
    expect(none.terminal.written).toEqual([]);
  });
});
