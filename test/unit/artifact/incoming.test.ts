import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createIncoming } from '../../../runtime/artifact/incoming.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-incoming-'));
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

test('a ticket expires, but an upload that is being received stays however slow it is', async () => {
  const incoming = await createIncoming(join(folder, 'incoming'));
  const unused = await incoming.open(1);
  const receiving = await incoming.openHeld();

  vi.setSystemTime(Date.now() + 24 * 60 * 60_000);
  await incoming.open(1);

  expect(existsSync(unused.folder)).toBe(false);
  expect(() => incoming.take(unused.ticket)).toThrow('expired');
  expect(existsSync(receiving.folder)).toBe(true);
});
