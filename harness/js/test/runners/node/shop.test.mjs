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

test('crashes the app', async ({ harness }) => {
  const to = harness.address('kim')
  await harness.expect({ name: 'app/crashed' }, { mail: [{ to }] })
})

test('comes after a crash', async ({ harness }) => {
  const to = harness.address('kim')
  await harness.expect(order(to), { mail: [{ to }] })
})

test('tells its stack', ({ harness }) => tell(harness))

test('hangs', hang)

test.todo('is yet to be written')
