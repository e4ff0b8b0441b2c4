/**
 * The whole thing in a minute: a language model that fits no single node is cut into shards, each placed by policies,
 * started as a process of its own, joined into a vDAG, and asked. Every token is compared with the unsplit model's.
 *
 * `npm run demo`, or `npm run demo -- --keep` to go on talking with it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, formatDuration, type SplitPlan } from 'aios-sdk';
import { type AiosClient, type ChatMessage, connect, type HopTiming } from 'aios-sdk/client';
import { aios, type ControlPlane, packageFolder, startControlPlane } from './control-plane.ts';
import { bad, command, dim, good, heading, say, write } from './show.ts';
import { loadUnsplit, type UnsplitModel } from './unsplit.ts';

const modelFolder = join(packageFolder, 'examples', 'models', 'tiny-assistant');

const questions = ['Who are you?', 'What is 47 + 38?', 'What is a vDAG?'];
const conversation = ['My name is Grace.', 'What is my name?'];

const readPlan = async (folder: string): Promise<SplitPlan> =>
  JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8'));

/** Nodes that hold a shard of a third or so, never the model; and one too small for anything. */
function smallClusters(whole: SplitPlan) {
  const [shard] = whole.shards;
  const neededBytes = whole.blocks[0]?.resources?.memoryBytes ?? 0;
  const modelBytes = (shard?.residentBytes ?? 0) + (shard?.kvBytes ?? 0);
  const memoryBytes = Math.ceil(neededBytes - modelBytes * 0.55);
  const node = (id: string) => ({ id, memoryBytes, cpuCores: 2 });
  return {
    neededBytes,
    memoryBytes,
    clusters: [
      {
        id: 'attic',
        nodes: [node('attic-1'), node('attic-2'), { ...node('attic-tiny'), memoryBytes: '64Mi' }],
      },
      { id: 'cellar', nodes: [node('cellar-1'), node('cellar-2')] },
    ],
  };
}

interface Exchange {
  readonly messages: readonly ChatMessage[];
  readonly text: string;
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

/** Asks the split model and shows the answer as it comes, with where its time went. */
async function ask(
  client: AiosClient,
  plan: SplitPlan,
  messages: readonly ChatMessage[],
): Promise<Exchange> {
  say(`${dim('you')}    ${messages.at(-1)?.content}`);
  write(`${dim('model')}  `);
  let text = '';
  let prompt: readonly number[] = [];
  const tokens: number[] = [];
  for await (const event of client.chat({ model: plan.model, messages, temperature: 0 })) {
    if (event.type === 'prompt') prompt = event.tokens;
    if (event.type === 'text') {
      write(event.text);
      text += event.text;
      tokens.push(...event.tokens);
    }
    if (event.type === 'end') {
      const { timeToFirstTokenMs = 0, totalMs = 0, hops } = event;
      const steps = Math.max(1, tokens.length);
      const speed = ((steps - 1) * 1000) / Math.max(0.001, totalMs - timeToFirstTokenMs);
      const perHop = (of: (hop: HopTiming) => number): string =>
        hops.map((hop) => (of(hop) / steps).toFixed(2)).join(' → ');
      say();
      say(
        dim(
          `       ${steps} tokens, ${speed.toFixed(0)} a second, the first after ${formatDuration(timeToFirstTokenMs)}; ` +
            `ms a token, shard by shard: computing ${perHop((hop) => hop.computeMs)}, waiting ${perHop((hop) => hop.waitMs)}`,
        ),
      );
    }
  }
  return { messages, text, prompt, tokens };
}

async function talk(client: AiosClient, plan: SplitPlan): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  for (const content of questions) {
    exchanges.push(await ask(client, plan, [{ role: 'user', content }]));
  }
  say();
  const messages: ChatMessage[] = [];
  for (const content of conversation) {
    messages.push({ role: 'user', content });
    const exchange = await ask(client, plan, [...messages]);
    messages.push({ role: 'assistant', content: exchange.text });
    exchanges.push(exchange);
  }
  return exchanges;
}

/** @returns whether every token agrees */
async function compare(
  exchanges: readonly Exchange[],
  unsplit: UnsplitModel,
  endTokenIds: readonly number[],
): Promise<boolean> {
  let agreed = true;
  for (const { messages, prompt, tokens } of exchanges) {
    const shown = tokens.filter((token) => !endTokenIds.includes(token));
    const expected = await unsplit.answer(prompt);
    const same = prompt.length > 0 && shown.join() === expected.join();
    agreed &&= same;
    const question = messages.at(-1)?.content;
    say(`${same ? good('✔') : bad('✘')} ${String(shown.length).padStart(3)} tokens  ${question}`);
    if (!same) say(`   split:   ${shown.join(' ')}\n   unsplit: ${expected.join(' ')}`);
  }
  return agreed;
}

async function demo(folder: string, keep: boolean): Promise<boolean> {
  const startedMs = performance.now();
  const wholeFolder = join(folder, 'whole');
  const planFolder = join(folder, 'plan');
  await aios(['split', modelFolder, '--shards', '1', '--out', 'whole'], { cwd: folder });
  const { neededBytes, memoryBytes, clusters } = smallClusters(await readPlan(wholeFolder));

  heading(
    'Two clusters of small nodes',
    `The whole model needs ${formatBytes(neededBytes)} in one process. The largest node has ${formatBytes(memoryBytes)}.`,
  );
  command('aios up');
  const controlPlane: ControlPlane = await startControlPlane(folder);
  say(`aios is up at ${controlPlane.url}`);
  let stop = true;
  const interrupted = () => void controlPlane.stop().then(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const client = connect(controlPlane.url);
    for (const cluster of clusters) {
      await writeFile(join(folder, `${cluster.id}.json`), JSON.stringify(cluster));
      await controlPlane.run('create-cluster', `${cluster.id}.json`);
    }

    heading(
      'The split',
      'A policy cuts the model to fit; one ONNX stage a shard, no weights copied.',
    );
    const fit = clusters.flatMap(({ id }) => ['--fit', id]);
    await controlPlane.run('split', modelFolder, ...fit, '--out', 'plan');
    const plan = await readPlan(planFolder);

    heading('The placement', 'Each shard is a block. Policies choose its node, and say why.');
    await controlPlane.run('create-plan', 'plan', '--wait');
    for (const { id } of plan.blocks) {
      say();
      await controlPlane.run('explain', 'block', id);
    }

    heading('The processes', 'What each node promised, and what its processes really use.');
    await controlPlane.run('status');

    heading(
      'Three questions and a conversation',
      'Activations go from shard to shard; the answer streams.',
    );
    const exchanges = await talk(client, plan);

    heading('The proof', 'The same prompts to the unsplit model, in one process, token by token.');
    const unsplit = await loadUnsplit(wholeFolder);
    const endTokenIds = plan.vdag.generation?.endTokenIds ?? [];
    const agreed = await compare(exchanges, unsplit, endTokenIds);
    await unsplit.close();
    say(
      agreed
        ? `\n${good('Every token agrees.')} ${dim(formatDuration(performance.now() - startedMs))}`
        : `\n${bad('The split model and the unsplit one disagree.')}`,
    );

    if (keep && agreed) {
      stop = false;
      say(`\nIt keeps running (data in ${folder}). Talk to it:`);
      command(`npx aios chat ${plan.model} --url ${controlPlane.url}`);
      say('Look at it, then stop it:');
      command(`npx aios status --url ${controlPlane.url}`);
      command(`kill ${controlPlane.pid}`);
    }
    return agreed;
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    if (stop) await controlPlane.stop();
  }
}

const keep = process.argv.includes('--keep');
const folder = await mkdtemp(join(tmpdir(), 'aios-demo-'));
let agreed = false;
try {
  agreed = await demo(folder, keep);
} catch (error) {
  say(`\n${bad('The demo failed.')} ${error instanceof Error ? error.message : error}`);
} finally {
  if (!keep || !agreed) await rm(folder, { recursive: true, force: true });
}
process.exitCode = agreed ? 0 : 1;
