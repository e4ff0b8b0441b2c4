import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { endGroup, processesWith, processUsage } from '../../../runtime/cluster/local/processes.ts';
import { eventually } from '../../support/system.ts';

const idle = 'setInterval(() => {}, 1000)';

test('a stranger that got the pid of an instance is left alone', async () => {
  const stranger = spawn(process.execPath, ['-e', idle], { detached: true, stdio: 'ignore' });
  await once(stranger, 'spawn');
  const exited = once(stranger, 'exit');

  await endGroup(stranger.pid!);

  expect(await processUsage(stranger.pid!)).toBeDefined();
  stranger.kill('SIGKILL');
  await exited;
});

test('what a process had started is ended once the process itself is gone', async () => {
  const marker = `--orphan=${process.pid}-${Date.now()}`;
  const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(idle)}, '--', ${JSON.stringify(marker)}], { stdio: 'ignore' }); ${idle}`;
  const leader = spawn(process.execPath, ['-e', parent], { detached: true, stdio: 'ignore' });
  const orphans = () => processesWith(marker);
  await eventually('its child', async () => (await orphans()).length === 1);
  const exited = once(leader, 'exit');
  leader.kill('SIGKILL');
  await exited;

  await endGroup(leader.pid!);

  await eventually('no orphan', async () => (await orphans()).length === 0);
});
