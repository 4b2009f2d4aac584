/** Tests on a stack, with Vitest. */
import { type TestAPI } from 'vitest';
import { type Harness, type HarnessOptions } from './fixture.js';
import type { Expectation, JudgeOptions } from './index.js';
export type { Harness, HarnessOptions } from './fixture.js';
declare module 'vitest' {
    interface Matchers<T> {
        /** Sends the event, unless it was sent, and judges what follows from it. The failure is the text of the verdict. */
        toLeadTo(expectation: Expectation, options?: JudgeOptions): Promise<void>;
    }
}
/**
 * Returns Vitest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
export declare function harnessTest(options: HarnessOptions): TestAPI<{
    harness: Harness;
}>;
