import { harnessTest } from 'inngest-harness/node-test'

const test = harnessTest({ inngest: 'sim-jump' })

test('the context is that of node:test, with a harness', { timeout: 1_000 }, async ({ harness, mock, name }) => {
  mock.timers.reset()
  await harness.send({ name, data: { id: harness.id('order') } })
  // @ts-expect-error: an event has a name
  await harness.send({ data: {} })
})
