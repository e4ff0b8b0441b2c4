#!/usr/bin/env node
// Committed launcher: in a clone, builds dist when it is missing or older than the sources, then runs it. An installed
// package has dist and no sources, and no compiler to build with.
import { build, isStale } from './build.js';

if (isStale()) build();
await import('../dist/cli/main.js');
