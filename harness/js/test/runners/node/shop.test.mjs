import { harnessTest } from 'inngest-harness/node-test'
import { hang, options, order, tell } from '../options.cjs'

const test = harnessTest(options)

test('holds', async ({ harness }) => {
  const to = harness.address('kim')
  await harness.expect(order(to), { mail: [{ to, golden: 'confirmation' }] })
})

test('breaks', async ({ harness }) => {
  const to = harness.address('kim')
  await harness.expect(order(to), { mail: [{ to, subject: 'Order B2' }] })
})

for (const subject of ['Order A1', 'Order B2']) {
  test('same name', async ({ harness }) => {
    const to = harness.address('kim')
    await harness.expect(order(to), { mail: [{ to, subject }] })
  })
}

test.todo('fails as expected', async ({ harness }) => {
  const to = harness.address('kim')
  await harness.expect(order(to), { mail: [{ to, subject: 'Order B2' }] })
})

test('tells its stack', ({ harness }) => tell(harness))

test('hangs', hang)
