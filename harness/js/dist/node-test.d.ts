/** Tests on a stack, with Node's own runner. */
import { type TestContext, type TestOptions } from 'node:test';
import { type Harness, type HarnessOptions } from './fixture.js';
export type { Harness, HarnessOptions } from './fixture.js';
/** A test on a stack: its context is that of `node:test`, and a `harness`. */
export type TestBody = (context: TestContext & {
    harness: Harness;
}) => unknown;
/** Declares a test. */
export interface DeclareTest {
    (name: string, body: TestBody): Promise<void>;
    (name: string, options: TestOptions, body: TestBody): Promise<void>;
}
/** The `test` of `node:test`, with a `harness` for each test. */
export interface HarnessTest extends DeclareTest {
    only: DeclareTest;
    skip: DeclareTest;
    todo: DeclareTest;
}
/** Returns the `test` of `node:test` with a `harness` for each test: a stack that is started once for the file, and a salt. */
export declare function harnessTest(options: HarnessOptions): HarnessTest;
