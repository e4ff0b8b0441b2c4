/**
 * What people say to policies directly: commands at a use site, and calls of functions.
 *
 * @module
 */
export { callFunction } from './call.ts';
export { createManagement, type ManagementParts } from './manage.ts';
