import { startStack } from 'inngest-harness'
import { options } from '../options.cjs'

/** One stack for all workers. */
export default async () => {
  const stack = await startStack(options)
  process.env.HARNESS_STACK = stack.dir
  return () => stack.stop()
}
