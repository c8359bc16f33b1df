/**
 * @file Entry of the device thread when the project runs from its sources. On Node 20 tsx does not reach into threads by
 * itself (privatenumber/tsx #354), so the thread registers it before its first TypeScript file. Not part of the build.
 */
import { register } from 'tsx/esm/api';

register();
await import('./device-thread.ts');
