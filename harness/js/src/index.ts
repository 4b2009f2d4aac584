/** Tests of Inngest apps: a stack of servers, the app on it, and verdicts on what follows from an event. */
export { Stack, startStack, connectStack, InjectedFault } from './stack.js'
export type {
  AnyEvent,
  EventRef,
  Judgement,
  JudgeOptions,
  Mail,
  MailBox,
  MailFilter,
  SeenTrace,
  Service,
  SkipOptions,
} from './stack.js'
export type { Duration, StackOptions } from './up.js'
export { HarnessError, VerdictError } from './errors.js'
export type { ErrorCode } from './errors.js'
export type * from './api.js'
