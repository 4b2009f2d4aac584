import type { Verdict } from './api.js';
/** What kind of error a {@link HarnessError} is. The first six are of the stack's API. */
export type ErrorCode = 'invalid' | 'unauthorized' | 'refused' | 'not-found' | 'unsupported' | 'failed'
/** There is no binary of the harness for this machine. */
 | 'no-binary'
/** The stack did not start, or there is none. */
 | 'no-stack'
/** The stack has ended, or does not answer. */
 | 'unreachable'
/** An email differs from its golden. */
 | 'differs';
/** An error of the harness. Its message says what is wrong, and what to do. */
export declare class HarnessError extends Error {
    readonly code: ErrorCode;
    name: string;
    constructor(message: string, code: ErrorCode);
}
/** The error of an expectation that does not hold. Its message is the text of the verdict. */
export declare class VerdictError extends Error {
    name: string;
    /** The verdict, with all that happened. */
    readonly verdict: Verdict;
    constructor(text: string, verdict: Verdict);
}
