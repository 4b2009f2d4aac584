// The stacks of this process, or worker thread. Runners load tests anew for each file, and Jest in a realm of its own, with a
// process object of its own: this module is loaded once, by Node itself (see requireByNode in fixture.ts).
import { isAlive, type StackOptions, type Up, up } from './up.js'

const stacks = new Map<string, Promise<Up>>()

/**
 * Returns the stack with these options. It is started when the first test asks for it, and ends with this worker. If it ends
 * before, as when a test crashes the app, the next test starts another.
 */
export async function workerStack(options: StackOptions): Promise<Up> {
  const key = JSON.stringify(options)
  for (let kept; (kept = stacks.get(key));) {
    const stack = await kept
    if (stack.ended() === undefined) return stack
    if (stacks.get(key) === kept) stacks.delete(key)
  }
  endWithRunner()
  const stack = up(options)
  stack.catch(() => stacks.delete(key)) // the next test tries again
  stacks.set(key, stack)
  return stack
}

let watching = false

/** Makes this process end when the test runner that started it is killed. */
function endWithRunner(): void {
  if (watching) return
  watching = true
  if (process.channel) {
    process.once('disconnect', () => process.exit(1))
  } else if (process.env['NODE_TEST_CONTEXT']) {
    const runner = process.ppid
    setInterval(() => (process.ppid === runner && isAlive(runner)) || process.exit(1), 250).unref()
  }
}
