/** Tests on a stack, with Jest. */
import { type Harness, type HarnessOptions } from './fixture.js';
import type { Expectation, JudgeOptions } from './index.js';
export type { Harness, HarnessOptions } from './fixture.js';
interface Matcher {
    /** Sends the event, unless it was sent, and judges what follows from it. The failure is the text of the verdict. */
    toLeadTo(expectation: Expectation, options?: JudgeOptions): Promise<void>;
}
declare module 'expect' {
    interface Matchers<R extends void | Promise<void>, T = unknown> extends Matcher {
    }
}
declare global {
    namespace jest {
        interface Matchers<R, T = {}> extends Matcher {
        }
    }
}
/** A test on a stack. */
export type TestBody = (context: {
    harness: Harness;
}) => unknown;
/** Declares a test. */
export interface DeclareTest {
    (name: string, body: TestBody, timeout?: number): void;
}
/** Jest's `test`, with a `harness` for each test. */
export interface HarnessTest extends DeclareTest {
    only: DeclareTest;
    skip: DeclareTest;
    failing: DeclareTest;
    todo(name: string): void;
}
/**
 * Returns Jest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
export declare function harnessTest(options: HarnessOptions): HarnessTest;
