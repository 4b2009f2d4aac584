import { type StackOptions, type Up } from './up.js';
/** Returns the stack with these options. It is started when the first test asks for it, and ends with this worker. */
export declare function workerStack(options: StackOptions): Promise<Up>;
