import { processIo } from './io.ts';
import { run } from './run.ts';

// `aios logs x | head`: the reader left, so there is nobody to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), processIo());
