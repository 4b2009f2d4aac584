// Made by scripts/api.mjs from the OpenAPI document of the harness. Do not edit.

/**
 * An Action is what a fault does.
 */
export type Action =
  | 'twice'
  | 'drop'
  | 'reply'
  | 'lose'
  | 'delay'
  | 'hold'
  | 'drop-answer'
  | 'delay-answer'
  | 'hold-answer'
  | 'discard'
  | 'throttle'
/**
 * The addresses of a header.
 */
export type Addresses = Address[]
/**
 * An Outcome is the result of a verdict.
 */
export type Outcome = 'holds' | 'broken' | 'cannot be judged'
/**
 * HopState is the state of a hop.
 */
export type HopState = 'ok' | 'broken' | 'pending' | 'not reached' | 'failed'
/**
 * A Status is the state of a run or of a step, in the words of Inngest's API.
 */
export type Status = 'QUEUED' | 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'SKIPPED'
/**
 * A Check is a kind of defect that an email must not have. Package mailcheck implements them.
 */
export type Check =
  'text' | 'links' | 'resolve' | 'images' | 'alt' | 'placeholders' | 'size' | 'format' | 'external' | 'all'
/**
 * What a text must be: all that the fields say. A text in place of the object stands for equals, a
 * list of texts for contains.
 */
export type Match = string | string[] | MatchFields
/**
 * A program that catches the emails of a stack. Its service is called mailhog, whichever it is.
 */
export type MailCatcher = 'mailhog' | 'mailpit'
/**
 * A Point is a place on a wire at which a fault can act.
 */
export type Point =
  | 'call'
  | 'step'
  | 'checkpoint'
  | 'event'
  | 'sync'
  | 'register'
  | 'connect'
  | 'ehlo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'body'
  | 'dot'
  | 'quit'
/**
 * A list of texts. A single text stands for a list of one.
 */
export type Texts = string | string[]

export interface Address {
  name?: string
  address: string
}
/**
 * Answer is a verdict.
 */
export interface Answer {
  eventId: string
  verdict: Verdict
  /**
   * text is the verdict for a person to read, as the command line prints it.
   */
  text: string
}
/**
 * The result of comparing an expectation with a trace.
 */
export interface Verdict {
  outcome: Outcome
  /**
   * why is one sentence: the first broken hop and its cause, or why it cannot be judged, or what was
   * found where it holds.
   */
  why: string
  /**
   * hops is the chain from event to email, in causal order.
   */
  hops: Hop[]
  /**
   * differences lists every difference between the expectation and the trace.
   */
  differences?: string[]
  /**
   * took is the time from the question to the verdict. In JSON it is a text such as "1.5s".
   */
  took: string
  trace: Trace
}
/**
 * A Hop is one link of the chain from event to email.
 */
export interface Hop {
  /**
   * depth is its depth in the tree of causes; the event has depth 0.
   */
  depth: number
  state: HopState
  text: string
  /**
   * first marks the first broken hop.
   */
  first?: boolean
  /**
   * detail has lines of evidence.
   */
  detail?: string[]
}
/**
 * What happened after one event. Times of the event, of runs and of steps are of the Inngest server's
 * clock; those of deliveries are of the harness's clock, those of emails of the mail catcher's.
 */
export interface Trace {
  /**
   * eventId is the ULID that the Inngest server gave the event.
   */
  eventId: string
  /**
   * event is the event as the server received it; left out where the server does not know the id.
   */
  event?: TraceEvent
  /**
   * functions are the functions that were subscribed to this event when the trace was taken.
   */
  functions: TraceFunction[]
  /**
   * functionsUnknown says why the server does not tell its functions; empty where it does.
   */
  functionsUnknown?: string
  /**
   * syncError is why the app's last sync failed; empty where it succeeded, or where this process synced
   * no app.
   */
  syncError?: string
  /**
   * runs are the runs that the event started, directly or through events that its runs sent, in the
   * order in which they were queued.
   */
  runs: TraceRun[]
  /**
   * mail are the emails that those runs sent, in the order of arrival.
   */
  mail: TraceMail[]
  /**
   * mailUnknown says why no emails can be read; empty where they can.
   */
  mailUnknown?: string
  /**
   * otherMail are the latest emails that arrived since the event and were sent by other runs.
   * otherMailCount is the number of all of them.
   */
  otherMail?: MailSummary[]
  /**
   * otherMail are the latest emails that arrived since the event and were sent by other runs.
   * otherMailCount is the number of all of them.
   */
  otherMailCount?: number
  /**
   * unattributedMail counts the emails that arrived since the event, carry no run id that the server
   * knows, and are not addressed to a recipient named in the expectation. They cannot be attributed to a
   * run. On a stack that tests share, only those count that were sent while one of the trace's runs was
   * being called.
   */
  unattributedMail?: number
  /**
   * unattributedEvents are events that the app sent outside steps while one of the runs was being
   * called. Any of them may have been sent by that run. Empty on a stack that tests share; evidence says
   * so there.
   */
  unattributedEvents?: UnattributedEvent[]
  /**
   * unattributedFunctions are the functions whose runs those events started, directly or through others.
   * On a stack that tests share, they are the functions that such events start directly.
   */
  unattributedFunctions?: TraceFunction[]
  /**
   * deliveries are the attempts of those runs to deliver an email, including failed ones. Empty without
   * taps.
   */
  deliveries?: Delivery[]
  /**
   * quiet says that nothing more can happen, and evidence how that is known. unquiet says what may still
   * happen.
   */
  quiet: boolean
  /**
   * quiet says that nothing more can happen, and evidence how that is known. unquiet says what may still
   * happen.
   */
  unquiet?: string
  evidence: string[]
  /**
   * hint says that an error, or what the app printed, comes from what the running database lacks, and
   * what to do; empty where nothing suggests that.
   */
  hint?: string
  /**
   * log are the lines that the app printed since the event was sent, where the stack runs it as a
   * program.
   */
  log?: string[]
  /**
   * taken is when the trace was taken.
   */
  taken: string
}
/**
 * TraceFunction is a function that is subscribed to the event.
 */
export interface TraceFunction {
  id: string
  app: string
  /**
   * notStarted says why the function starts no run for the event, once that is certain: its condition is
   * false, the event's id was used before, or flow control left the event out.
   */
  notStarted?: string
  /**
   * pending says what decides whether, or when, the function starts; empty where it starts at once.
   */
  pending?: string
}
/**
 * TraceRun is one run.
 */
export interface TraceRun {
  id: string
  /**
   * url is the run in Inngest's own page; empty where the server has none, or ends with the stack.
   */
  url?: string
  /**
   * function is the function's id without the app's id.
   */
  function: string
  app?: string
  /**
   * eventId is the event that started the run: the trace's own, or one that an earlier run sent.
   * inferred says that no step reported that event: it was sent while the earlier run, and nothing else,
   * was being called.
   */
  eventId: string
  /**
   * eventId is the event that started the run: the trace's own, or one that an earlier run sent.
   * inferred says that no step reported that event: it was sent while the earlier run, and nothing else,
   * was being called.
   */
  inferred?: boolean
  status: Status
  /**
   * skipped says why the status is SKIPPED.
   */
  skipped?: string
  /**
   * decisions are what flow control did to the run: what it waited for and how long, or waits for now.
   * Only sim tells.
   */
  decisions?: string[]
  output?: unknown
  error?: string
  steps: TraceStep[]
  /**
   * stepsUnknown says why the server does not tell the steps; empty where it does.
   */
  stepsUnknown?: string
  queued?: string
  started?: string
  ended?: string
}
/**
 * TraceStep is one step of a run.
 */
export interface TraceStep {
  id: string
  /**
   * op is what kind of step it is: RUN, SLEEP, WAIT_FOR_EVENT, WAIT_FOR_SIGNAL, INVOKE, or AI_GATEWAY
   * for any HTTP request that the server makes.
   */
  op?: string
  status: Status
  attempts?: TraceAttempt[]
  /**
   * input is what the code handed to the step, where its SDK tells: in JavaScript the arguments after
   * the function of step.run, as an array. The Go SDK does not tell.
   */
  input?: unknown
  output?: unknown
  error?: string
  started?: string
  ended?: string
}
/**
 * TraceAttempt is one try of a step.
 */
export interface TraceAttempt {
  /**
   * status is empty where the app gave no answer.
   */
  status: Status
  error?: string
  started?: string
  ended?: string
  /**
   * unrecorded says that the taps saw the app make this attempt and that the Inngest server did not
   * record it.
   */
  unrecorded?: boolean
}
/**
 * TraceMail is one email.
 */
export interface TraceMail {
  /**
   * id is the mail catcher's id of the message; empty for one that was not read from a mail catcher.
   */
  id?: string
  /**
   * received is when the mail catcher accepted the message, by its clock.
   */
  received?: string
  /**
   * envelope holds the sender and recipients of the SMTP dialogue, which decide where the message is
   * delivered.
   */
  envelope: Envelope
  /**
   * subject and the addresses are those of the headers, decoded. A header that occurs more than once is
   * one of the problems: subject is then the first, and the address lists have all addresses.
   */
  subject: string
  from: Addresses
  to?: Addresses
  cc?: Addresses
  replyTo?: Addresses
  /**
   * date is that of the Date header; left out where there is none or it cannot be read.
   */
  date?: string
  /**
   * messageId is that of the Message-ID header, without its angle brackets.
   */
  messageId?: string
  /**
   * headers are all headers, in order, repeated ones repeated.
   */
  headers: Header[]
  /**
   * text and html are the bodies in UTF-8, with lines ending in \n. One that the message does not have
   * is empty; several of one kind are joined by a newline.
   */
  text: string
  /**
   * text and html are the bodies in UTF-8, with lines ending in \n. One that the message does not have
   * is empty; several of one kind are joined by a newline.
   */
  html: string
  /**
   * attachments are all parts but the bodies and the inlines, in the order of the message.
   */
  attachments?: Part[]
  /**
   * inlines are the parts that a body refers to or shows, in the order of the message.
   */
  inlines?: Part[]
  /**
   * raw is the message as it came over SMTP, without the final dot.
   */
  raw?: Buffer
  /**
   * problems lists what is malformed, one sentence each. Everything that could be decoded was decoded.
   */
  problems?: string[]
  /**
   * runId is the run that sent it. inferred says that the email does not name a run: it is attributed to
   * the event by its recipient and its time.
   */
  runId?: string
  /**
   * runId is the run that sent it. inferred says that the email does not name a run: it is attributed to
   * the event by its recipient and its time.
   */
  inferred?: boolean
  /**
   * wrongRun is the run that the email names where the server knows no such run. The email is then an
   * inferred one.
   */
  wrongRun?: string
}
/**
 * A Header is one header field of a message.
 */
export interface Header {
  /**
   * name is as written.
   */
  name: string
  /**
   * value is unfolded and decoded (RFC 2047).
   */
  value: string
  /**
   * raw is the value as in the message, folded and encoded, without the final line break.
   */
  raw?: string
}
/**
 * An attachment or an inline part of an email.
 */
export interface Part {
  /**
   * name is the file name, decoded (RFC 2231 or 2047); empty when there is none.
   */
  name: string
  /**
   * type is the media type without parameters, as in "image/png".
   */
  type: string
  /**
   * calendarMethod is the parameter method of the type text/calendar, such as "REQUEST".
   */
  calendarMethod?: string
  /**
   * contentId is without its angle brackets, as a "cid:" link in HTML names it.
   */
  contentId?: string
  /**
   * disposition is "attachment", "inline" or empty.
   */
  disposition?: string
  /**
   * data are the bytes of the file: the transfer encoding is undone, and a text is in the charset of its
   * sender.
   */
  data: Buffer
  /**
   * text is the content of a text, in UTF-8 and in lines that end in \n; empty for other types.
   */
  text?: string
  /**
   * size is the number of bytes in data.
   */
  size: number
}
/**
 * MailSummary is one line about an email that another run sent.
 */
export interface MailSummary {
  to: string[]
  subject: string
  received: string
}
/**
 * UnattributedEvent is an event that the app sent while a run of the trace was being called and that
 * no step has reported. The run may have sent it, or something else in the app.
 */
export interface UnattributedEvent {
  eventId: string
  name: string
  sent: string
}
/**
 * Delivery is one attempt of a run to deliver an email to the mail server, as the tap on that wire saw
 * it.
 */
export interface Delivery {
  /**
   * connection distinguishes connections; several transactions can share one.
   */
  connection: number
  from?: string
  /**
   * to are the recipients that the mail server accepted, refused those that it or a fault refused.
   */
  to?: string[]
  /**
   * to are the recipients that the mail server accepted, refused those that it or a fault refused.
   */
  refused?: string[]
  /**
   * messageId is without its angle brackets. runId is the value of the header that names the run.
   */
  messageId?: string
  /**
   * messageId is without its angle brackets. runId is the value of the header that names the run.
   */
  runId?: string
  /**
   * size is the size of the message in bytes, as transmitted.
   */
  size?: number
  /**
   * accepted says that the mail server took responsibility for the message, at acceptedAt.
   */
  accepted: boolean
  /**
   * accepted says that the mail server took responsibility for the message, at acceptedAt.
   */
  acceptedAt?: string
  /**
   * reported says that the app received the answer that says so.
   */
  reported: boolean
  /**
   * bareLF counts the line feeds in the message without a carriage return before them. Mail servers do
   * not take them as ends of lines.
   */
  bareLF?: number
  /**
   * after is set where no email was begun: the mail server refused what the app sent after the email
   * with this messageId to these recipients.
   */
  after?: string[]
  /**
   * server is the name of the mail server, as in its banner.
   */
  server?: string
  /**
   * tls says that the connection was encrypted, so that no more is known of it.
   */
  tls?: boolean
  /**
   * dialogue has up to 200 lines. Credentials and the message's text are left out.
   */
  dialogue?: SMTPLine[]
  began: string
  /**
   * open says that the delivery had not ended when the trace was taken.
   */
  open?: boolean
  /**
   * faults are the scripted faults that acted on it.
   */
  faults?: string[]
  /**
   * err says why the dialogue did not end regularly.
   */
  err?: string
  /**
   * forgotten says that the mail server accepted it and has ended since, so that it does not show it any
   * more.
   */
  forgotten?: boolean
}
/**
 * SMTPLine is one line of an SMTP dialogue.
 */
export interface SMTPLine {
  at: string
  /**
   * by is the side that sent it: "app", "server", or "tap" where a fault answered in place of the
   * server.
   */
  by: 'app' | 'server' | 'tap'
  text: string
}
/**
 * Fault is a fault on the way of the app's answers: the app has done its work, and its answer arrives
 * late, twice or not at all. Exactly one of lose, late and twice is expected; of several, the first
 * named here acts.
 */
export interface CallFault {
  /**
   * function and step say whose answers: a function's id, with or without the app's id and a dash before
   * it, and a step's id in the code. Empty means any.
   */
  function?: string
  /**
   * function and step say whose answers: a function's id, with or without the app's id and a dash before
   * it, and a step's id in the code. Empty means any.
   */
  step?: string
  /**
   * times is how many answers it acts on. Zero is one, negative all.
   */
  times?: number
  /**
   * lose drops the answer, as when the app crashes between a step's effect and its checkpoint: the
   * attempt counts as failed and is made again.
   */
  lose?: boolean
  /**
   * late delivers the answer this much later by the virtual clock. For the server the call goes on until
   * then, and keeps its places in concurrency limits: with times large, calls take time.
   */
  late?: string
  /**
   * twice delivers the answer a second time.
   */
  twice?: boolean
}
/**
 * Can says what a stack supports beyond sending, reading and judging.
 */
export interface Can {
  /**
   * skip and replace need sim. faults need the taps.
   */
  skip: boolean
  /**
   * skip and replace need sim. faults need the taps.
   */
  replace: boolean
  faults: boolean
  /**
   * services are those that can be stopped and started.
   */
  services?: string[]
}
/**
 * Compared says whether an email is like a golden.
 */
export interface Compared {
  matches: boolean
  /**
   * text says how they differ.
   */
  text?: string
}
/**
 * Comparison asks whether an email is like a golden.
 */
export interface Comparison {
  /**
   * dir is its absolute path. Required.
   */
  dir: string
  /**
   * update writes a golden that differs, or does not exist yet, instead of reporting the difference.
   */
  update?: boolean
  /**
   * replace are values in the emails that differ from run to run.
   */
  replace?: GoldenReplacement[]
  /**
   * runHeader is the header that names the run. Empty: that of the stack.
   */
  runHeader?: string
  /**
   * name is that of the golden, mail the id of the email. Required.
   */
  name: string
  /**
   * name is that of the golden, mail the id of the email. Required.
   */
  mail: string
}
/**
 * Replacement puts a name in the place of a value that differs from run to run. It is applied to every
 * part of an email, to what a reader sees: in HTML to text and attribute values, however they are
 * escaped there, and to the bytes of attached files, as in a calendar's DTSTAMP. A value that tags
 * divide is not found, nor one that a file holds compressed. Exactly one of old and pattern must be
 * set.
 */
export interface GoldenReplacement {
  /**
   * the value; where it stands in a link it is also found URL-encoded
   */
  old?: string
  /**
   * every match of it
   */
  pattern?: string
  /**
   * what takes its place, such as {{request-id}}; with pattern it may hold $1
   */
  new?: string
}
/**
 * Decision is what flow control did to an event.
 */
export interface Decision {
  /**
   * function is the function's id with the app's id and a dash before it.
   */
  function: string
  text: string
  /**
   * pending says that something is still to come.
   */
  pending?: boolean
}
/**
 * Done is the answer to what has no other.
 */
export interface Done {
  ok: boolean
}
/**
 * An Envelope is the sender and the recipients of an SMTP dialogue.
 */
export interface Envelope {
  from: string
  to: string[]
  /**
   * helo is the argument of the client's HELO or EHLO.
   */
  helo?: string
}
/**
 * An event to send.
 */
export interface Event {
  /**
   * id is the id that the sender chooses. For 24 hours the server starts runs only for the first event
   * with a given key, also after a run that failed. Empty: every sending counts.
   */
  id?: string
  /**
   * name is required.
   */
  name: string
  /**
   * data is an object. Left out: an empty one.
   */
  data?: object | null
  /**
   * user is an object. Left out: none.
   */
  user?: object | null
  /**
   * ts is when it happened, in milliseconds since 1970. Left out: when the server receives it. A time in
   * the future delays the runs until then.
   */
  ts?: number
  /**
   * v is the version of the event's schema. Empty: none.
   */
  v?: string
  /**
   * The JSON Schema of this file, for editors. It is ignored.
   */
  $schema?: string
}
/**
 * What should have happened after one event. A field that is left out asserts nothing; an expectation
 * that asserts nothing at all is an error.
 */
export interface Expectation {
  /**
   * runs lists runs that the event must have started, directly or through events that its runs sent.
   * Each entry needs a run of its own.
   *
   * @minItems 1
   */
  runs?: RunExpectation[]
  /**
   * mail lists emails that those runs must have sent, or must not have sent. Each entry needs an email
   * of its own.
   *
   * @minItems 1
   */
  mail?: MailExpectation[]
  /**
   * noOtherRuns asserts that no runs were started beside those in runs: none at all where runs is empty.
   * A SKIPPED run was not started.
   */
  noOtherRuns?: boolean
  /**
   * noOtherMail asserts that those runs sent no emails beside those in mail: one email for each entry,
   * or the number in its copies.
   */
  noOtherMail?: boolean
  /**
   * The JSON Schema of this file, for editors. It is ignored.
   */
  $schema?: string
}
/**
 * RunExpectation says what one run should have been.
 */
export interface RunExpectation {
  /**
   * function is the function's id, with or without the app's id and a dash before it. Required.
   */
  function: string
  /**
   * status is the run's status. COMPLETED, FAILED, CANCELLED and SKIPPED are final. A run that the
   * server skipped is found only by an entry with the status SKIPPED.
   */
  status?: Status
  /**
   * output is what the function returned, as JSON. An expected object matches an object that has at
   * least its fields; any other value must be equal.
   */
  output?: unknown
  /**
   * error is a part of the text of the error that ended the run.
   */
  error?: string
  /**
   * steps lists steps that the run must have had, in any order. The run may have others.
   *
   * @minItems 1
   */
  steps?: StepExpectation[]
}
/**
 * StepExpectation says what one step of a run should have been.
 */
export interface StepExpectation {
  /**
   * id is the step's id in the code. Required. Each entry needs a step of its own, also where several
   * have one id.
   */
  id: string
  /**
   * occurrence chooses among several steps with this id: 1 is the one that began first. Zero: any of
   * them.
   */
  occurrence?: number
  /**
   * status is the step's status.
   */
  status?: Status
  /**
   * attempts is the exact number of attempts: how often the app was asked to make it, as far as the taps
   * saw, and at least as often as the server recorded. Zero asserts nothing.
   */
  attempts?: number
  /**
   * output is what the step returned, as JSON. It is compared as a run's output is.
   */
  output?: unknown
  /**
   * error is a part of the text of the step's last error.
   */
  error?: string
}
/**
 * MailExpectation says what one email should have been, or that there should have been none. A message
 * with several recipients is one email to each of them.
 */
export interface MailExpectation {
  /**
   * to is a recipient's address in the SMTP dialogue, whatever the headers say. Required.
   */
  to: string
  /**
   * absent asserts that no email to that address was sent. Only to may be set beside it.
   */
  absent?: boolean
  /**
   * from is the sender's address in the from header.
   */
  from?: string
  /**
   * envelopeFrom is the sender's address in the SMTP dialogue, to which bounces go. It is empty in an
   * automatic reply.
   */
  envelopeFrom?: Match
  /**
   * cc and replyTo are all addresses in these headers, in any sequence. The email must also have been
   * sent to those in cc.
   */
  cc?: string | string[]
  /**
   * cc and replyTo are all addresses in these headers, in any sequence. The email must also have been
   * sent to those in cc.
   */
  replyTo?: string | string[]
  /**
   * bcc are all recipients in the SMTP dialogue that are in no header, in any sequence.
   */
  bcc?: string | string[]
  /**
   * subject is the decoded subject.
   */
  subject?: Match
  /**
   * text and html are the decoded bodies, with lines that end in \n.
   */
  text?: Match
  /**
   * text and html are the decoded bodies, with lines that end in \n.
   */
  html?: Match
  /**
   * headers maps names of headers to their decoded values. Of a header that is repeated, one value must
   * match.
   */
  headers?: {
    [k: string]: Match
  }
  /**
   * attachments and inlines list files that the email must have. Each entry needs a file of its own.
   *
   * @minItems 1
   */
  attachments?: FileExpectation[]
  /**
   * attachments and inlines list files that the email must have. Each entry needs a file of its own.
   *
   * @minItems 1
   */
  inlines?: FileExpectation[]
  /**
   * noOtherFiles asserts that there are no files beside those in attachments and inlines.
   */
  noOtherFiles?: boolean
  /**
   * calendar is the method of the invitation that the email holds, such as REQUEST or CANCEL. The type
   * of its part must name it as well as the calendar data.
   */
  calendar?: string
  /**
   * golden names the golden email with which this one is compared. The judge needs to be given the
   * goldens.
   */
  golden?: string
  /**
   * copies is the exact number of emails that match this entry and no other entry. Left out: at least
   * one; with noOtherMail exactly one.
   */
  copies?: number
  /**
   * sameMessageId asserts that all emails that match this entry have one Message-ID, as copies of one
   * email do.
   */
  sameMessageId?: boolean
  /**
   * checks lists kinds of defects that the email must not have. all stands for all of them but external,
   * which forbids what an email may load from the web on purpose.
   *
   * @minItems 1
   */
  checks?: Check[]
  /**
   * problems is none, which asserts that nothing in the email is malformed, or left out.
   */
  problems?: 'none'
}
/**
 * What a text must be: all that the fields say. A text in place of the object stands for equals, a
 * list of texts for contains.
 */
export interface MatchFields {
  /**
   * equals is the whole text.
   */
  equals?: string
  /**
   * contains lists parts of the text.
   */
  contains?: Texts
  /**
   * matches is a regular expression, in Go's syntax (RE2). It may match any part of the text: ^ and $
   * stand for the ends of the whole.
   */
  matches?: string
  /**
   * present requires a text that is not empty, or a header with the name. absent requires that there is
   * none, and excludes the other fields.
   */
  present?: boolean
  /**
   * present requires a text that is not empty, or a header with the name. absent requires that there is
   * none, and excludes the other fields.
   */
  absent?: boolean
}
/**
 * FileExpectation says what one file of an email should be. Without fields it is any file.
 */
export interface FileExpectation {
  /**
   * name is the decoded file name.
   */
  name?: Match
  /**
   * type is the media type without parameters.
   */
  type?: string
  /**
   * size is the number of decoded bytes, sha256 their hash in hexadecimal.
   */
  size?: number
  /**
   * size is the number of decoded bytes, sha256 their hash in hexadecimal.
   */
  sha256?: string
  /**
   * text is the content of a file that is text, with lines that end in \n.
   */
  text?: Match
}
/**
 * Failure is the body of an answer that is an error.
 */
export interface Failure {
  /**
   * error is a sentence: what is wrong, and what to do.
   */
  error: string
  /**
   * code is one of invalid, unauthorized, refused, not-found, not-allowed, unsupported, too-large and
   * failed.
   */
  code: 'invalid' | 'unauthorized' | 'refused' | 'not-found' | 'not-allowed' | 'unsupported' | 'too-large' | 'failed'
}
/**
 * One thing that goes wrong on a wire: where, for which exchanges, how often, and what. A field that
 * selects exchanges matches all of them where it is left out.
 */
export interface Fault {
  /**
   * name is what records and messages call the fault. Empty: a description made from the other fields.
   */
  name?: string
  /**
   * at is the point at which the fault acts, do what it does.
   */
  at: Point
  /**
   * at is the point at which the fault acts, do what it does.
   */
  do: Action
  /**
   * function is a function's id, with or without its app's id and a hyphen before it.
   */
  function?: string
  /**
   * run is a run's id.
   */
  run?: string
  /**
   * attempt counts from 1. Zero: any.
   */
  attempt?: number
  /**
   * step is a step's id as it stands in the function's code. The second use of an id is "id:1".
   */
  step?: string
  /**
   * after is the id of the step that ended last. at step, before a step begins, empty means none: step
   * is then the function's first.
   */
  after?: string
  /**
   * event is an event's name.
   */
  event?: string
  /**
   * to is a recipient; upper and lower case are the same. From data on it is one of the recipients that
   * the mail server accepted for the message.
   */
  to?: string
  /**
   * bytes is how much of a message passes before a fault at body acts. It does not act on a shorter
   * message.
   */
  bytes?: number
  /**
   * times is how often the fault acts in all, counted over every exchange that it matches; then
   * everything passes. Zero: once. Negative: always.
   */
  times?: number
  /**
   * skip is how many matching exchanges pass first, counted in the same way.
   */
  skip?: number
  /**
   * chance is the probability that the fault acts on a matching exchange, drawn from the set's seed.
   * Zero: always.
   */
  chance?: number
  /**
   * for is how long delay and delay-answer wait.
   */
  for?: string
  /**
   * code and text are what reply answers: an HTTP status and its body, or an SMTP reply. text is
   * optional, and one line in SMTP. An SMTP reply of 421 also closes the connection.
   */
  code?: number
  /**
   * code and text are what reply answers: an HTTP status and its body, or an SMTP reply. text is
   * optional, and one line in SMTP. An SMTP reply of 421 also closes the connection.
   */
  text?: string
  /**
   * rate is the speed of throttle in bytes per second.
   */
  rate?: number
  /**
   * concurrent makes twice deliver side by side, second makes it pass on the answer to the second
   * delivery.
   */
  concurrent?: boolean
  /**
   * concurrent makes twice deliver side by side, second makes it pass on the answer to the second
   * delivery.
   */
  second?: boolean
  /**
   * The JSON Schema of this file, for editors. It is ignored.
   */
  $schema?: string
}
/**
 * Goldens is a directory of golden emails.
 */
export interface Goldens {
  /**
   * dir is its absolute path. Required.
   */
  dir: string
  /**
   * update writes a golden that differs, or does not exist yet, instead of reporting the difference.
   */
  update?: boolean
  /**
   * replace are values in the emails that differ from run to run.
   */
  replace?: GoldenReplacement[]
  /**
   * runHeader is the header that names the run. Empty: that of the stack.
   */
  runHeader?: string
}
/**
 * fault is a fault that was injected into a wire.
 */
export interface InjectedFault {
  id: string
  fault: Fault
  /**
   * text describes it in a few words.
   */
  text: string
  /**
   * applied is how often it has acted.
   */
  applied: number
  /**
   * armed says that it may act again.
   */
  armed: boolean
}
/**
 * What stands in the way of an app on sim: steps whose outcomes are replaced, faults of calls, and
 * stubs of what steps let the server request.
 */
export interface Interventions {
  replace?: StepReplacement[]
  faults?: CallFault[]
  stubs?: Stub[]
  /**
   * removeStubs are the ids of stubs to take away. Those that are gone already are ignored.
   */
  removeStubs?: string[]
  /**
   * The JSON Schema of this file, for editors. It is ignored.
   */
  $schema?: string
}
/**
 * Replacement is the outcomes of the attempts of one step.
 */
export interface StepReplacement {
  /**
   * function is a function's id, with or without the app's id and a dash before it. Empty: any.
   */
  function?: string
  /**
   * step is the step's id in the code. The second use of an id is "id:1".
   */
  step: string
  /**
   * outcomes are those of the attempts, the last one of all further ones. None leave the step as it was.
   */
  outcomes?: StepOutcome[]
}
/**
 * Outcome is the outcome of one attempt of a replaced step.
 */
export interface StepOutcome {
  /**
   * value is the result. For a wait it is the event, or the data of the signal, that comes; null is that
   * none comes in time. For a fetch it has the fields url, headers, body (a text) and status_code.
   */
  value?: unknown
  /**
   * error, if not empty, makes the attempt fail with this message. It is retried like any failed step.
   */
  error?: string
  /**
   * noRetry makes the failure final.
   */
  noRetry?: boolean
  /**
   * retryAfter puts the next attempt this much later, in place of the backoff.
   */
  retryAfter?: string
}
/**
 * Stub is the answer to HTTP requests that the server makes for steps: those of step.fetch, and of AI
 * inference. What is empty says nothing.
 */
export interface Stub {
  /**
   * function, step and url say to which requests: by the function's id, with or without the app's id and
   * a dash before it, the step's id in the code, and the address, in which "*" stands for anything.
   * Empty: any.
   */
  function?: string
  /**
   * function, step and url say to which requests: by the function's id, with or without the app's id and
   * a dash before it, the step's id in the code, and the address, in which "*" stands for anything.
   * Empty: any.
   */
  step?: string
  url?: string
  /**
   * times is how many requests it answers. Zero: all.
   */
  times?: number
  /**
   * status is that of the answer. Left out: 200.
   */
  status?: number
  headers?: {
    [k: string]: string
  }
  /**
   * body is a text, or what is encoded as JSON.
   */
  body?: unknown
  /**
   * error, in place of all that, makes the request fail, as when a connection breaks.
   */
  error?: string
  /**
   * id is a name by which it can be taken away.
   */
  id?: string
}
/**
 * Invocation starts a function.
 */
export interface Invocation {
  /**
   * function is its id, with or without the app's id and a dash before it. Required.
   */
  function: string
  /**
   * data is that of the event it gets, an object.
   */
  data?: object
}
/**
 * One decoded email.
 */
export interface Message {
  /**
   * id is the mail catcher's id of the message; empty for one that was not read from a mail catcher.
   */
  id?: string
  /**
   * received is when the mail catcher accepted the message, by its clock.
   */
  received?: string
  /**
   * envelope holds the sender and recipients of the SMTP dialogue, which decide where the message is
   * delivered.
   */
  envelope: Envelope
  /**
   * subject and the addresses are those of the headers, decoded. A header that occurs more than once is
   * one of the problems: subject is then the first, and the address lists have all addresses.
   */
  subject: string
  from: Addresses
  to?: Addresses
  cc?: Addresses
  replyTo?: Addresses
  /**
   * date is that of the Date header; left out where there is none or it cannot be read.
   */
  date?: string
  /**
   * messageId is that of the Message-ID header, without its angle brackets.
   */
  messageId?: string
  /**
   * headers are all headers, in order, repeated ones repeated.
   */
  headers: Header[]
  /**
   * text and html are the bodies in UTF-8, with lines ending in \n. One that the message does not have
   * is empty; several of one kind are joined by a newline.
   */
  text: string
  /**
   * text and html are the bodies in UTF-8, with lines ending in \n. One that the message does not have
   * is empty; several of one kind are joined by a newline.
   */
  html: string
  /**
   * attachments are all parts but the bodies and the inlines, in the order of the message.
   */
  attachments?: Part[]
  /**
   * inlines are the parts that a body refers to or shows, in the order of the message.
   */
  inlines?: Part[]
  /**
   * raw is the message as it came over SMTP, without the final dot.
   */
  raw?: Buffer
  /**
   * problems lists what is malformed, one sentence each. Everything that could be decoded was decoded.
   */
  problems?: string[]
}
/**
 * Question asks for a verdict. One of eventId and event is required.
 */
export interface Question {
  /**
   * eventId is the ULID of an event that was sent.
   */
  eventId?: string
  /**
   * event is sent, and then judged. expectation is validated before.
   */
  event?: Event
  /**
   * expectation is required.
   */
  expectation: Expectation
  /**
   * timeout is how long to wait for what should happen. Zero: 10 s.
   */
  timeout?: string
  /**
   * golden says where the goldens are that the expectation names.
   */
  golden?: Goldens
  /**
   * test is the test that asks: see TestEnd.
   */
  test?: TestName
}
/**
 * Event is an event that the Inngest server has received, with the runs it started.
 */
export interface ReceivedEvent {
  /**
   * eventId is the ULID that the server gave it.
   */
  eventId: string
  /**
   * idempotencyKey is the id that its sender chose.
   */
  idempotencyKey?: string
  name: string
  data?: unknown
  received: string
  /**
   * runs have steps where one event is asked for, or steps are.
   */
  runs: TraceRun[]
  /**
   * decisions are what flow control did to the event, without those about its runs. Only sim tells.
   */
  decisions?: Decision[]
}
/**
 * removed counts emails that were removed.
 */
export interface Removed {
  removed: number
}
/**
 * Replaced counts what a request has put in place, and says what it has taken away in vain.
 */
export interface Replaced {
  replace: number
  faults: number
  stubs: number
  /**
   * unused are the steps that were replaced before, and that no run has reached meanwhile: each with
   * "of" and its function, if named.
   */
  unused?: string[]
}
/**
 * SentEvent is an event that the Inngest server has accepted.
 */
export interface SentEvent {
  /**
   * eventId is the ULID that the server gave it.
   */
  eventId: string
  /**
   * idempotencyKey is the id that its sender chose.
   */
  idempotencyKey?: string
  name: string
}
/**
 * Skip says how much time passes. One of by and until is required.
 */
export interface Skip {
  by?: string
  until?: string
  /**
   * run is the run for which time passes, with those that descend from it; event the event for which it
   * passes, with the runs that it started, and the throttles, debounces and batches in which they wait.
   * Both left out: it passes for all.
   */
  run?: string
  /**
   * run is the run for which time passes, with those that descend from it; event the event for which it
   * passes, with the runs that it started, and the throttles, debounces and batches in which they wait.
   * Both left out: it passes for all.
   */
  event?: string
}
/**
 * Skipped is the time that it is then.
 */
export interface Skipped {
  now: string
}
/**
 * Stack says where a stack is, and what it can do.
 */
export interface Stack {
  /**
   * $schema is where the JSON Schema of the file is, which the stack's API serves.
   */
  $schema?: string
  /**
   * pid is the process that keeps the stack up, started when the operating system started it. Together
   * they distinguish a running stack from a file that a killed one left behind.
   */
  pid: number
  /**
   * pid is the process that keeps the stack up, started when the operating system started it. Together
   * they distinguish a running stack from a file that a killed one left behind.
   */
  started: string
  backend: string
  app: StateApp
  inngest: StateInngest
  mailhog: StateMailHog
  mongo: StateMongo
  /**
   * dashboard is the page that shows what happens on the stack; empty where there is none.
   */
  dashboard?: StateURL
  /**
   * api is the JSON api of the stack.
   */
  api?: StateAPI
  /**
   * env are the variables that an app on this stack gets.
   */
  env?: {
    [k: string]: string
  }
  can: Can
  /**
   * outdated says why no app is up that is what its sources say: one has changed, and the app is not up
   * with it yet, or does not start with it; or it has ended by itself. Empty: nothing of that is known.
   */
  outdated?: string
}
/**
 * App is the app's entry in a State. url is empty where the stack runs no app.
 */
export interface StateApp {
  url?: string
  path?: string
  /**
   * connect says that it connects to the Inngest server, and serves no functions at path.
   */
  connect?: boolean
}
/**
 * Inngest is the Inngest server's entry in a State. The keys are those of the stack; a dev server has
 * none.
 */
export interface StateInngest {
  url: string
  eventKey?: string
  signingKey?: string
  /**
   * standIn says that this is sim, until the server is built.
   */
  standIn?: boolean
}
/**
 * MailHog is the mail catcher's entry in a State, whichever program it is.
 */
export interface StateMailHog {
  url: string
  smtp: string
  /**
   * program is empty for a mailbox of a mail server.
   */
  program?: MailCatcher
}
/**
 * Mongo is the database's entry in a State. uri includes the name of the app's database.
 */
export interface StateMongo {
  uri: string
}
/**
 * Where a stack that `harness up` keeps up is: the file .harness/stack.json.
 */
export interface State {
  /**
   * $schema is where the JSON Schema of the file is, which the stack's API serves.
   */
  $schema?: string
  /**
   * pid is the process that keeps the stack up, started when the operating system started it. Together
   * they distinguish a running stack from a file that a killed one left behind.
   */
  pid: number
  /**
   * pid is the process that keeps the stack up, started when the operating system started it. Together
   * they distinguish a running stack from a file that a killed one left behind.
   */
  started: string
  backend: string
  app: StateApp
  inngest: StateInngest
  mailhog: StateMailHog
  mongo: StateMongo
  /**
   * dashboard is the page that shows what happens on the stack; empty where there is none.
   */
  dashboard?: StateURL
  /**
   * api is the JSON api of the stack.
   */
  api?: StateAPI
}
/**
 * API is the entry of the stack's JSON API in a State. Every process that knows the token can use it.
 */
export interface StateAPI {
  url: string
  token?: string
}
/**
 * url is a server's entry in a State.
 */
export interface StateURL {
  url: string
}
/**
 * TestEnd says how a test ended. What the stack judged for it becomes its record in the report and,
 * where it failed, its evidence.
 */
export interface TestEnd {
  /**
   * suite is where it is defined, such as a file. Required, like name.
   */
  suite: string
  /**
   * suite is where it is defined, such as a file. Required, like name.
   */
  name: string
  /**
   * outcome is passed, failed or skipped.
   */
  outcome: 'passed' | 'failed' | 'skipped'
  began?: string
  /**
   * run names the run of the suite, in which the test ran. The first record of a suite in a run replaces
   * those of earlier runs.
   */
  run?: string
  /**
   * failures are the messages that it failed with.
   */
  failures?: string[]
  /**
   * report is the directory of the report, an absolute path. Empty: there is none.
   */
  report?: string
  /**
   * evidence is the directory in which to keep verdicts, emails and logs of a test that failed, an
   * absolute path. Empty: they are not kept.
   */
  evidence?: string
}
/**
 * TestName names a test.
 */
export interface TestName {
  /**
   * suite is where it is defined, such as a file. Required, like name.
   */
  suite: string
  /**
   * suite is where it is defined, such as a file. Required, like name.
   */
  name: string
}
/**
 * TraceEvent is the event that started it.
 */
export interface TraceEvent {
  name: string
  /**
   * idempotencyKey is the id that the sender chose; empty where it chose none. The server drops further
   * events with the same key for 24 hours.
   */
  idempotencyKey?: string
  data?: unknown
  received: string
  /**
   * due is when its runs start, where that is later: its sender gave it a time in the future.
   */
  due?: string
  /**
   * duplicateOf is the ULID of another event with the same idempotency key, which started the runs. The
   * server started none for this one.
   */
  duplicateOf?: string
}
