import { expect } from '@jest/globals'
import { harnessTest } from 'inngest-harness/jest'

const test = harnessTest({ command: 'npm start' })

test('the harness and the matcher have types', async ({ harness }) => {
  const to: string = harness.address('kim')
  await expect({ name: 'order/placed', data: { to } }).toLeadTo({ mail: [{ to }] })
  // @ts-expect-error: it is called subject
  await expect({ name: 'order/placed' }).toLeadTo({ mail: [{ to, subjekt: 'Order' }] })
})
test.only('only this', () => {}, 1_000)
