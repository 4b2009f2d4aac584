import type { Event, Expectation, GoldenReplacement, Goldens, SentEvent } from './api.js';
import { type AnyEvent, type JudgeOptions, type Judgement, type Mail, Stack } from './stack.js';
import type { Duration, StackOptions } from './up.js';
/** The stack that tests run on, and their goldens. */
export interface HarnessOptions extends StackOptions {
    goldens?: {
        /** The directory of golden emails. Default: `goldens` beside the test's file. */
        dir?: string;
        /** Values in emails that differ from run to run, beside the test's salt. */
        replace?: GoldenReplacement[];
    };
}
/** The stack as one test uses it. What the test sends is kept apart from what others send by its {@link salt}. */
export declare class Harness {
    /** The stack, which other tests of this worker use, too. */
    readonly stack: Stack;
    private readonly test;
    private readonly options;
    /** Text that no other test has: letters and digits. */
    readonly salt: string;
    private readonly began;
    /** An email address that no other test has. The same name gives the same address. */
    address(name?: string): string;
    /** An id that no other test has. The same name gives the same id. */
    id(name?: string): string;
    /** Sends an event. */
    send(event: Event): Promise<SentEvent>;
    /** Sends an event, unless it was sent, and judges what follows. A verdict that does not hold fails the test with its text. */
    expect(event: AnyEvent, expectation: Expectation, options?: JudgeOptions): Promise<Judgement>;
    /** Like {@link expect}, but returns a verdict that does not hold. */
    judge(event: AnyEvent, expectation: Expectation, options?: JudgeOptions): Promise<Judgement>;
    /**
     * Lets time pass for the runs of one event alone, and for those that descend from them, so that other tests are not
     * disturbed. It waits until the event has started a run.
     */
    skip(event: SentEvent | string, by: Duration): Promise<void>;
    /** Compares an email with a golden email. See {@link Stack.golden}. */
    golden(name: string, mail: Mail | string, goldens?: Partial<Goldens>): Promise<void>;
    private testName;
    private judging;
    private goldens;
    /** How many milliseconds of the test's time are left to wait. */
    private left;
}
