import { expect } from 'vitest'
import { test } from './harness.mjs'

test('confirms an order', async ({ harness }) => {
  const email = harness.address('kim')
  await expect({ name: 'order/placed', data: { order: 'A1', email } }).toLeadTo({
    mail: [{ to: email, subject: 'Order A1' }],
  })
})

test('fails with a verdict', async ({ harness }) => {
  const email = harness.address('kim')
  await expect({ name: 'order/placed', data: { order: 'A1', email } }).toLeadTo({
    mail: [{ to: email, subject: 'Order A2' }],
  })
})

test('fails with a verdict by the harness', async ({ harness }) => {
  const email = harness.address('kim')
  await harness.expect(
    { name: 'order/placed', data: { order: 'A1', email } },
    { mail: [{ to: email, subject: 'Order A2' }] },
  )
})

test('reminds after three days', async ({ harness }) => {
  const email = harness.address('kim')
  const sent = await harness.send({ name: 'order/forgotten', data: { email } })
  await harness.skip(sent, '3d')
  await expect(sent).toLeadTo({ mail: [{ to: email }] })
})
