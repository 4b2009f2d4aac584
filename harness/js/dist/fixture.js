"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Harness = void 0;
exports.stackOf = stackOf;
exports.beginTest = beginTest;
exports.endTest = endTest;
exports.runTest = runTest;
exports.toLeadTo = toLeadTo;
const node_crypto_1 = require("node:crypto");
const promises_1 = require("node:timers/promises");
const node_path_1 = require("node:path");
const errors_js_1 = require("./errors.js");
const stack_js_1 = require("./stack.js");
/** Returns the stack of this worker. @internal */
async function stackOf(options) {
    if (process.env['HARNESS_STACK'])
        return (0, stack_js_1.connectStack)();
    const native = process.getBuiltinModule('node:module').createRequire(__filename);
    const { workerStack } = native('./worker.js');
    try {
        return await stack_js_1.Stack.of(await workerStack(options));
    }
    catch (error) {
        const { message, code = 'failed' } = error; // of another realm, perhaps
        throw new errors_js_1.HarnessError(message, code);
    }
}
/** The stack as one test uses it. What the test sends is kept apart from what others send by its {@link salt}. */
class Harness {
    stack;
    test;
    options;
    /** Text that no other test has: letters and digits. */
    salt = (0, node_crypto_1.randomBytes)(5).toString('hex');
    began = new Date();
    /** @internal */
    constructor(
    /** The stack, which other tests of this worker use, too. */
    stack, test, options) {
        this.stack = stack;
        this.test = test;
        this.options = options;
    }
    /** An email address that no other test has. The same name gives the same address. */
    address(name = 'user') {
        return `${name}-${this.salt}@example.test`;
    }
    /** An id that no other test has. The same name gives the same id. */
    id(name = 'id') {
        return `${name}-${this.salt}`;
    }
    /** Sends an event. */
    send(event) {
        return this.stack.send(event);
    }
    /** Sends an event, unless it was sent, and judges what follows. A verdict that does not hold fails the test with its text. */
    expect(event, expectation, options = {}) {
        return this.stack.expect(event, expectation, this.judging(expectation, options));
    }
    /** Like {@link expect}, but returns a verdict that does not hold. */
    judge(event, expectation, options = {}) {
        return this.stack.judge(event, expectation, this.judging(expectation, options));
    }
    /**
     * Lets time pass for the runs of one event alone, and for those that descend from them, so that other tests are not
     * disturbed. It waits until the event has started a run.
     */
    async skip(event, by) {
        const at = (0, errors_js_1.callSite)();
        const ends = Date.now() + this.left();
        let runs = await this.stack.runs({ event });
        while (runs.length === 0) {
            if (Date.now() > ends) {
                throw at(new errors_js_1.HarnessError('the event has started no run for which time could be skipped: stack.skip() skips it for all', 'failed'));
            }
            await (0, promises_1.setTimeout)(pollInterval);
            runs = await this.stack.runs({ event });
        }
        for (const run of runs)
            await this.stack.skip({ run: run.id, by });
    }
    /** Compares an email with a golden email. See {@link Stack.golden}. */
    golden(name, mail, goldens = {}) {
        return this.stack.golden(name, mail, { ...this.goldens(), ...goldens });
    }
    /** Says how the test ended, for report and evidence. @internal */
    async end(outcome, failures = []) {
        const path = (variable) => process.env[variable] && (0, node_path_1.resolve)(process.env[variable]);
        await this.stack.endTest({
            ...this.testName(),
            outcome,
            failures,
            began: this.began.toISOString(),
            report: path('HARNESS_REPORT'),
            evidence: path('HARNESS_EVIDENCE'),
        });
    }
    testName() {
        return { suite: (0, node_path_1.relative)('', this.test.file).replaceAll('\\', '/'), name: this.test.name };
    }
    judging(expectation, options) {
        // A verdict says more than a runner whose time is up.
        const timeout = `${Math.min(defaultTimeout, this.left())}ms`;
        const golden = expectation.mail?.some((mail) => mail.golden) ? this.goldens() : undefined;
        return { timeout, test: this.testName(), ...options, golden: golden && { ...golden, ...options.golden } };
    }
    goldens() {
        const { dir = (0, node_path_1.join)((0, node_path_1.dirname)(this.test.file), 'goldens'), replace = [] } = this.options.goldens ?? {};
        const update = this.test.update || Boolean(process.env['HARNESS_UPDATE']);
        return { dir, update, replace: [{ old: this.salt, new: '{{salt}}' }, ...replace] };
    }
    /** How many milliseconds of the test's time are left to wait. */
    left() {
        return Math.max(minTimeout, this.test.timeout - (Date.now() - this.began.getTime()) - margin);
    }
}
exports.Harness = Harness;
const defaultTimeout = 10_000;
const minTimeout = 100;
/** What a verdict takes beyond the time that it waits. */
const margin = 1_000;
const pollInterval = 20;
/** The tests that are running, by file and name. */
const running = new Map();
/** Begins a test: returns its harness, by which the matcher finds it until the end. @internal */
async function beginTest(test, options) {
    const { goldens: _, ...stackOptions } = options;
    const harness = new Harness(await stackOf(stackOptions), test, options);
    running.set(key(test), harness);
    return harness;
}
/** Ends a test. @internal */
async function endTest(test, outcome, failures) {
    const harness = running.get(key(test));
    running.delete(key(test));
    await harness?.end(outcome, failures);
}
/** Runs a test from its beginning to its end. @internal */
async function runTest(test, options, body) {
    const harness = await beginTest(test, options);
    try {
        await body(harness);
    }
    catch (error) {
        await endTest(test, 'failed', [error instanceof Error ? error.message : String(error)]).catch(() => { }); // it says less
        throw error;
    }
    await endTest(test, 'passed');
}
function key(test) {
    return `${test.file} ${test.name}`;
}
/** The matcher of Vitest and Jest. Its failure is the text of the verdict. @internal */
async function toLeadTo(event, expectation, options) {
    if (this.isNot) {
        throw new errors_js_1.HarnessError('toLeadTo cannot be negated: say what must not happen by absent, noOtherRuns or noOtherMail', 'invalid');
    }
    const harness = running.get(key({ file: this.testPath ?? '', name: this.currentTestName ?? '' }));
    if (!harness) {
        throw new errors_js_1.HarnessError('toLeadTo is for tests made by harnessTest; concurrent tests take expect from their context', 'invalid');
    }
    const verdict = await harness.judge(event, expectation, options);
    return { pass: verdict.outcome === 'holds', message: () => verdict.text };
}
