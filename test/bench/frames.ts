/**
 * Round trip of a frame between two processes against raw TCP in the same run. Payloads of 8 KB and 1 MB go there and come
 * back; the last line of each block is the ratio that matters.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  connectInstance,
  emptyFrame,
  type Frame,
  mintTicket,
  serveInstance,
} from '../../runtime/dataplane/index.ts';

const secret = '5e'.repeat(32);
const headroom = 512;
const sizes = [
  { name: '8 KB', bytes: 8 * 2 ** 10, warmup: 2000, rounds: 5000, aim: 3 },
  { name: '1 MB', bytes: 2 ** 20, warmup: 50, rounds: 300, aim: 2 },
];

/** The other process: echoes frames over gRPC and bytes over TCP. */
async function echo(): Promise<void> {
  let buffer = new ArrayBuffer(0);
  const server = await serveInstance({
    instanceId: 'echo',
    secret,
    handlers: {
      onLink: (link) =>
        link.onFrame((frame) => {
          // A shard's output lies behind headroom already; so does this one, in one buffer for all rounds.
          const bytes = headroom + frame.payload.byteLength;
          if (buffer.byteLength !== bytes) buffer = new ArrayBuffer(bytes);
          new Uint8Array(buffer).set(frame.payload, headroom);
          link.sendInPlace(frame, buffer, headroom);
          link.grant();
        }),
      onAttach: () => {},
      infer: async function* () {},
    },
  });
  const raw = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('error', () => {});
  });
  raw.listen(0, '127.0.0.1', () => {
    const { port } = raw.address() as { port: number };
    process.send?.({ address: server.address, port });
  });
  process.on('disconnect', () => process.exit(0));
}

interface Times {
  readonly medianUs: number;
  readonly p99Us: number;
}

async function measure(warmup: number, rounds: number, once: () => Promise<void>): Promise<Times> {
  for (let round = 0; round < warmup; round += 1) await once();
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    await once();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (fraction: number) => times[Math.floor(times.length * fraction)] ?? 0;
  return { medianUs: at(0.5), p99Us: at(0.99) };
}

function tcpRoundTrip(socket: Socket, bytes: number): () => Promise<void> {
  const payload = randomBytes(bytes);
  let missing = 0;
  let done = () => {};
  socket.removeAllListeners('data');
  socket.on('data', (chunk) => {
    missing -= chunk.length;
    if (missing === 0) done();
  });
  return () =>
    new Promise((resolve) => {
      missing = bytes;
      done = resolve;
      socket.write(payload);
    });
}

async function main(): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(import.meta.url), 'echo'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ address, port }] = (await once(child, 'message')) as [{ address: string; port: number }];
  const connection = connectInstance({
    address,
    peerId: 'bench',
    ticket: mintTicket(secret, 'bench'),
  });
  const link = await connection.link();
  let came = (_frame: Frame) => {};
  link.onFrame((frame) => {
    link.grant();
    came(frame);
  });
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');

  console.log(`node ${process.version}, ${process.arch}; medians of one run\n`);
  console.log('payload  transport     median      p99   ratio   aim');
  for (const { name, bytes, warmup, rounds, aim } of sizes) {
    const buffer = new ArrayBuffer(headroom + bytes);
    const { payload: _payload, ...head } = {
      ...emptyFrame('step'),
      session: 'bench-session',
      dtype: 'float32' as const,
      shape: [bytes / 4],
    };
    const frameTrip = () =>
      new Promise<void>((resolve) => {
        came = () => resolve();
        link.sendInPlace(head, buffer, headroom);
      });
    const tcpTrip = tcpRoundTrip(socket, bytes);
    // Interleaved, so that a noisy moment of the machine meets both.
    const parts = 5;
    const frameTimes: Times[] = [];
    const tcpTimes: Times[] = [];
    for (let part = 0; part < parts; part += 1) {
      tcpTimes.push(await measure(warmup / parts, rounds / parts, tcpTrip));
      frameTimes.push(await measure(warmup / parts, rounds / parts, frameTrip));
    }
    const middle = (times: Times[]): Times =>
      [...times].sort((a, b) => a.medianUs - b.medianUs)[Math.floor(parts / 2)] as Times;
    const tcp = middle(tcpTimes);
    const frame = middle(frameTimes);
    const row = (what: string, { medianUs, p99Us }: Times, end: string) =>
      console.log(
        `${name.padEnd(8)} ${what.padEnd(10)} ${medianUs.toFixed(0).padStart(6)} µs ${p99Us.toFixed(0).padStart(6)} µs ${end}`,
      );
    row('raw TCP', tcp, '');
    row('frame', frame, `${(frame.medianUs / tcp.medianUs).toFixed(2).padStart(5)}x  <${aim}x`);
  }
  console.log(`\npayloads copied on arrival: ${link.payloadCopies} of ${link.framesIn}`);
  socket.destroy();
  connection.close();
  child.disconnect();
}

await (process.argv[2] === 'echo' ? echo() : main());
