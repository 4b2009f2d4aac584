/** Tests on a stack, with Vitest. */
import { beforeAll, expect, test } from 'vitest';
import { beginTest, endTest, stackOf, toLeadTo } from './fixture.js';
expect.extend({ toLeadTo });
/**
 * Returns Vitest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
export function harnessTest(options) {
    beforeAll(async () => void (await stackOf(options)), startTimeout); // it takes more time than a test has
    return test.extend({
        harness: [
            async ({ task }, use) => {
                const { expect, onTestFinished } = task.context;
                const { testPath, currentTestName, snapshotState } = expect.getState();
                const info = {
                    file: testPath ?? '',
                    name: currentTestName ?? '',
                    timeout: task.timeout,
                    update: snapshotState._updateSnapshot === 'all',
                };
                const harness = await beginTest(info, options);
                onTestFinished(({ task: { result } }) => endTest(info, result?.state === 'fail' ? 'failed' : 'passed', result?.errors?.map((error) => error.message)));
                await use(harness);
            },
            { auto: true },
        ],
    });
}
const startTimeout = 10 * 60_000;
