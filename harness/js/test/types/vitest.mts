import { harnessTest } from 'inngest-harness/vitest'
import { expect } from 'vitest'

const test = harnessTest({ command: ['node', 'app.js'], goldens: { replace: [{ old: 'a', new: 'b' }] } })

test('the harness, the matcher, and what they take, have types', async ({ harness }) => {
  const to: string = harness.address('kim')
  await expect({ name: 'order/placed', data: { to } }).toLeadTo({ mail: [{ to, subject: ['Order'], checks: ['all'] }] })
  // @ts-expect-error: it is called subject
  await expect({ name: 'order/placed' }).toLeadTo({ mail: [{ to, subjekt: 'Order' }] })
  // @ts-expect-error: there is no such status
  await harness.expect('id', { runs: [{ function: 'confirm', status: 'DONE' }] })
  await harness.stub({ url: '*', body: { rate: 1 } })
  for (const mail of (await harness.judge('id', { noOtherMail: true })).trace.mail) {
    const bytes: Buffer[] = mail.attachments.map((file) => file.data) // always a list
    expect(bytes).toEqual([])
  }
})
