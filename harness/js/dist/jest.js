"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.harnessTest = harnessTest;
/** Tests on a stack, with Jest. */
const fixture_js_1 = require("./fixture.js");
/**
 * Returns Jest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
function harnessTest(options) {
    const { test, expect, beforeAll } = require('@jest/globals');
    expect.extend({ toLeadTo: fixture_js_1.toLeadTo });
    beforeAll(async () => void (await (0, fixture_js_1.stackOf)(options)), startTimeout); // it takes more time than a test has
    const run = (body) => () => {
        const { testPath, currentTestName, snapshotState } = expect.getState();
        const info = {
            file: testPath ?? '',
            name: currentTestName ?? '',
            timeout: testTimeout(),
            update: snapshotState?._updateSnapshot === 'all',
        };
        return (0, fixture_js_1.runTest)(info, options, (harness) => body({ harness }));
    };
    const declare = (as) => (name, body, timeout) => as(name, run(body), timeout);
    return Object.assign(declare(test), {
        only: declare(test.only),
        skip: declare(test.skip),
        failing: declare(test.failing),
        todo: (name) => test.todo(name),
    });
}
const startTimeout = 10 * 60_000;
/** Returns the milliseconds that the running test may take. Jest has no other way to ask. */
function testTimeout() {
    const symbol = Object.getOwnPropertySymbols(globalThis).find((one) => one.description === 'JEST_STATE_SYMBOL');
    const state = symbol && globalThis[symbol];
    return state?.currentlyRunningTest?.timeout ?? state?.testTimeout ?? defaultTestTimeout;
}
const defaultTestTimeout = 5_000;
