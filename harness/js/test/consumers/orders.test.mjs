import { readFileSync } from 'node:fs'
import { startStack, VerdictError } from 'inngest-harness'
import { harnessTest } from 'inngest-harness/node-test'

const test = harnessTest({ command: JSON.parse(readFileSync('shop.json', 'utf8')), inngest: 'sim' })

test('ESM', async ({ harness }) => {
  if (typeof startStack !== 'function' || typeof VerdictError !== 'function') throw new Error('exports are missing')
  const to = harness.address()
  await harness.expect({ name: 'order/placed', data: { order: 'A1', email: to } }, { mail: [{ to }] })
})
