import { expect } from '@jest/globals'
import { harnessTest } from 'inngest-harness/jest'

const test = harnessTest({ command: 'npm start' })

test.each([['A1', 20]])('an order %s', async (order, price, { harness }) => {
  const [id, euros]: [string, number] = [order, price]
  expect([id, euros, harness.salt]).toHaveLength(3)
})
test.each([{ order: 'A1' }])('an order', async ({ order }, { harness }) => {
  await harness.expect('id', { mail: [{ to: harness.address(order) }] })
})

test('the harness and the matcher have types', async ({ harness }) => {
  const to: string = harness.address('kim')
  await expect({ name: 'order/placed', data: { to } }).toLeadTo({ mail: [{ to }] })
  // @ts-expect-error: it is called subject
  await expect({ name: 'order/placed' }).toLeadTo({ mail: [{ to, subjekt: 'Order' }] })
})
test.only('only this', () => {}, 1_000)
