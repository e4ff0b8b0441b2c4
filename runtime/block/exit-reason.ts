import { formatDuration } from '../../sdk/units.ts';
import { type InstanceEvent, noteMark } from '../cluster/backend.ts';

type Exit = Pick<
  Extract<InstanceEvent, { type: 'instance-exited' }>,
  'exitCode' | 'signal' | 'endedFor' | 'lastLines'
>;

const maxShownCharacters = 300;

/** What of its log may say why: neither blank, nor ours, nor that all was well. */
function lastWords(instanceId: string, lastLines: readonly string[]): string | undefined {
  const words = lastLines.findLast((line) => line.trim() !== '' && !line.startsWith(noteMark));
  return words?.startsWith(`${instanceId} is ready at `) ? undefined : words;
}

function howItEnded({ exitCode, signal, endedFor }: Exit): string {
  if (endedFor !== undefined) return `was ended because it ${endedFor},`;
  if (signal !== null) return `was killed by ${signal}`;
  return exitCode === null ? 'ended' : `ended with code ${exitCode}`;
}

/**
 * Says how a process ended, for people. What it logged last is no reason where it was killed from outside: it had no
 * time to say any.
 *
 * @param ageMs - since it was started
 */
export function exitReason(instanceId: string, exit: Exit, ageMs: number): string {
  const how = `instance '${instanceId}' ${howItEnded(exit)} ${formatDuration(Math.max(0, ageMs))} after its start`;
  if (exit.signal === 'SIGKILL' && exit.endedFor === undefined) {
    return `${how}: by somebody, or by the system for want of memory`;
  }
  const words = lastWords(instanceId, exit.lastLines);
  if (words !== undefined) return `${how}; its last line: ${words.slice(0, maxShownCharacters)}`;
  return exit.exitCode === null && exit.signal === null
    ? `${how}; how is not known, as an earlier run of the control plane had started it`
    : how;
}
