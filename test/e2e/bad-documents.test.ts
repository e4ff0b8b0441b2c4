import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Problem } from '../../sdk/errors.ts';
import { differences, golden } from '../support/golden.ts';
import { repository, System, tinyAssistant } from '../support/system.ts';

const folder = join(repository, 'test/fixtures/specs/invalid');
const documents = readdirSync(folder).filter((name) => name.endsWith('.json'));
const plurals: Record<string, string> = { policy: 'policies' };

/** The gateway bounds every body before a reader sees it. */
const refusedAtTheDoor = new Set(['too-deep.block.json']);

let system: System;
let model: string;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 2, 600 * 2 ** 20);
  model = await system.model(tinyAssistant, 2);
});

afterAll(() => system?.stop());

it('every bad document is refused with its problems, and what was there stays and answers', async () => {
  const before = await system.status();

  for (const name of documents) {
    const kind = String(name.split('.').at(-2));
    const response = await fetch(`${system.url}/api/${plurals[kind] ?? `${kind}s`}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: readFileSync(join(folder, name)),
    });
    const problem = (await response.json()) as {
      code: string;
      detail: string;
      problems?: Problem[];
    };
    const code = refusedAtTheDoor.has(name) ? 'REQUEST_INVALID' : 'SPEC_INVALID';

    expect({ name, status: response.status, code: problem.code }).toEqual({
      name,
      status: 400,
      code,
    });
    expect(problem.problems ?? [problem.detail]).not.toHaveLength(0);
  }

  const after = await system.status();
  const specs = ({ clusters, blocks, vdags }: typeof before) =>
    [...clusters, ...blocks, ...vdags].map(({ spec, revision }) => ({ spec, revision }));
  expect(documents.length).toBeGreaterThan(10);
  expect(specs(after)).toEqual(specs(before));
  expect(await differences(system.url, model, golden.rows[0]!)).toEqual([]);
});
