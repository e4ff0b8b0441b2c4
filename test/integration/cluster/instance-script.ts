import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { entryPath } from '../../../runtime/entry.ts';

/**
 * A program that keeps to the contract between a backend and an instance, and does nothing else: reads its boot document,
 * writes `instance.json`, ends on SIGTERM. What it is to do differently stands in the boot's `settings`.
 */
export function writeInstanceScript(folder: string): string {
  const startTime = pathToFileURL(entryPath('runtime/instance/start-time.js')).href;
  const path = join(folder, 'instance.mjs');
  writeFileSync(
    path,
    `import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { processStartTime } from ${JSON.stringify(startTime)};
let text = '';
for await (const chunk of process.stdin) text += chunk;
const boot = JSON.parse(text);
const { settings } = boot.workload;
console.log('files: ' + readdirSync('.').sort().join(' '));
console.log('environment: ' + Object.keys(process.env).sort().join(' '));
if (settings.failAtStart) { console.error('cannot start: ' + settings.failAtStart); process.exit(3); }
if (!settings.ignoreTerm) process.on('SIGTERM', () => process.exit(0));
else process.on('SIGTERM', () => console.log('not now'));
if (settings.child) spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
if (settings.chatter) setInterval(() => console.log('x'.repeat(settings.chatter)), 5);
setInterval(() => {}, 1000);
if (!settings.neverReady) {
  writeFileSync('part', JSON.stringify({ pid: process.pid, startTime: await processStartTime(process.pid), address: '127.0.0.1:1' }));
  renameSync('part', 'instance.json');
}
`,
  );
  return path;
}
