import { expect, test } from 'vitest';
import { exitReason } from '../../../runtime/block/exit-reason.ts';

const exit = {
  exitCode: null as number | null,
  signal: null as string | null,
  lastLines: ['loading', 'x is ready at 127.0.0.1:4000', ''] as string[],
};

test('one that was killed from outside had no time to say why: what it logged before is not offered as the reason', () => {
  const said = exitReason('x', { ...exit, signal: 'SIGKILL' }, 48_000);

  expect(said).toBe(
    "instance 'x' was killed by SIGKILL 48.0 s after its start: by somebody, or by the system for want of memory",
  );
});

test('that it was ready, or a line of the platform, is no reason either', () => {
  const lastLines = [...exit.lastLines, '[aios] the log passed 8 bytes; older lines were dropped'];

  expect(exitReason('x', { ...exit, lastLines, exitCode: 9 }, 1500)).toBe(
    "instance 'x' ended with code 9 1.5 s after its start",
  );
  expect(exitReason('x', { ...exit, lastLines: ['y is ready at z'], exitCode: 9 }, 1500)).toContain(
    'its last line: y is ready at z',
  );
});

test('a crash has its last line, cut', () => {
  const lastLines = [...exit.lastLines, `terminate called: ${'!'.repeat(1000)}`, ' '];

  const said = exitReason('x', { ...exit, lastLines, signal: 'SIGABRT' }, 1500);

  expect(said).toContain('was killed by SIGABRT 1.5 s after its start; its last line: terminate');
  expect(said.length).toBeLessThan(400);
});

test('where the backend ended it itself, that is the reason', () => {
  const endedFor = 'did not listen within 30.0 s';

  expect(
    exitReason('x', { ...exit, lastLines: ['waiting'], signal: 'SIGKILL', endedFor }, 30_100),
  ).toBe(
    "instance 'x' was ended because it did not listen within 30.0 s, 30.1 s after its start; its last line: waiting",
  );
});

test('of one that was not our child nobody knows how it ended; a clock that went back gives no negative age', () => {
  expect(exitReason('x', exit, -5)).toBe(
    "instance 'x' ended 0.00 ms after its start; how is not known, as an earlier run of the control plane had started it",
  );
});
