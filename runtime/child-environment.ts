const passedOn = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'LD_LIBRARY_PATH', 'SystemRoot'];

/** What a process of ours gets of our environment: enough to run Node and native libraries, no credentials. */
export function childEnvironment(): NodeJS.ProcessEnv {
  const entries = passedOn.flatMap((name) =>
    process.env[name] ? [[name, process.env[name]]] : [],
  );
  return Object.fromEntries(entries);
}
