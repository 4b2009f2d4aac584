const { harnessTest } = require('inngest-harness/jest')
const { hang, options, order, tell } = require('../options.cjs')

const plain = globalThis.test
const test = harnessTest(options)

test('holds', async ({ harness }) => {
  const to = harness.address('kim')
  await expect(order(to)).toLeadTo({ mail: [{ to, golden: 'confirmation' }] })
  const [mail] = await harness.stack.mail({ to })
  expect(mail.envelope.to).toStrictEqual([to]) // an array of Jest's realm
})

test('breaks', async ({ harness }) => {
  const to = harness.address('kim')
  await expect(order(to)).toLeadTo({ mail: [{ to, subject: 'Order B2' }] })
})

test('is negated', async ({ harness }) => {
  await expect(order(harness.address())).not.toLeadTo({ noOtherMail: true })
})

plain('has no harness', async () => {
  await expect(order('kim@example.test')).toLeadTo({ noOtherMail: true })
})

test('is not awaited', ({ harness }) => {
  const to = harness.address('kim')
  expect(order(to)).toLeadTo({ mail: [{ to, subject: 'Order B2' }] })
})

for (const subject of ['Order A1', 'Order B2']) {
  test('same name', async ({ harness }) => {
    const to = harness.address('kim')
    await expect(order(to)).toLeadTo({ mail: [{ to, subject }] })
  })
}

test.failing('fails as expected', async ({ harness }) => {
  const to = harness.address('kim')
  await expect(order(to)).toLeadTo({ mail: [{ to, subject: 'Order B2' }] })
})

test.each([
  ['A1', 'passes'],
  ['B2', 'fails'],
])('row %s %s', async (order, outcome, { harness }) => {
  const to = harness.address('kim')
  await expect({ name: 'order/placed', data: { order: 'A1', email: to } }).toLeadTo({
    mail: [{ to, subject: `Order ${order}` }],
  })
})

test.each([['A1'], ['B2']])('row of one name', async (order, { harness }) => {
  const to = harness.address('kim')
  await expect({ name: 'order/placed', data: { order: 'A1', email: to } }).toLeadTo({
    mail: [{ to, subject: `Order ${order}` }],
  })
})

test('crashes the app', async ({ harness }) => {
  const to = harness.address('kim')
  await expect({ name: 'app/crashed' }).toLeadTo({ mail: [{ to }] })
})

test('comes after a crash', async ({ harness }) => {
  const to = harness.address('kim')
  await expect(order(to)).toLeadTo({ mail: [{ to }] })
})

test('tells its stack', ({ harness }) => tell(harness))

test('hangs', hang, 600_000)
