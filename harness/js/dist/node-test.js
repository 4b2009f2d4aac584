"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.harnessTest = harnessTest;
/** Tests on a stack, with Node's own runner. */
const node_test_1 = require("node:test");
const fixture_js_1 = require("./fixture.js");
/** Returns the `test` of `node:test` with a `harness` for each test: a stack that is started once for the file, and a salt. */
function harnessTest(options) {
    const declare = (as) => (name, ...rest) => {
        const [testOptions, body] = rest.length === 1 ? [{}, rest[0]] : rest;
        return as(name, testOptions, (context) => {
            const info = {
                file: process.argv[1] ?? '',
                name: context.fullName,
                timeout: testOptions.timeout ?? Infinity,
                update: process.execArgv.includes('--test-update-snapshots'),
            };
            return (0, fixture_js_1.runTest)(info, options, (harness) => body(Object.assign(context, { harness })));
        });
    };
    return Object.assign(declare(node_test_1.test), {
        only: declare(node_test_1.test.only),
        skip: declare(node_test_1.test.skip),
        todo: declare(node_test_1.test.todo),
    });
}
