import type { Event, Expectation, Fault, Goldens, Message, ReceivedEvent, SentEvent, Skip, Stack as StackState, Status, StepOutcome, Stub, Trace, TraceRun, Verdict } from './api.js';
import { type Duration, type StackOptions } from './up.js';
/** The services of a stack. */
export type Service = 'app' | 'inngest' | 'mailhog' | 'mongo';
/** One decoded email. */
export type Mail = Message & Required<Pick<Message, 'id' | 'received' | 'attachments' | 'inlines'>>;
/** Which emails are meant: all that is said must be so. */
export interface MailFilter {
    /** A recipient's address. */
    to?: string;
    from?: string;
    subject?: string;
    /** The id of the run that sent it. */
    run?: string;
    headers?: Record<string, string>;
}
/** An event to send, or one that was sent: what sending it returned, or its id. */
export type AnyEvent = Event | SentEvent | string;
/** A verdict, with its text for a person to read. */
export interface Judgement extends Verdict {
    eventId: string;
    text: string;
}
/** How to judge. */
export interface JudgeOptions {
    /** How long to wait for what should happen. Default: `10s`. */
    timeout?: Duration;
    /** Where the goldens are that the expectation names. */
    golden?: Goldens;
}
/** Starts the servers, and the app on them. They end with {@link Stack.stop}, or when this process ends, however it does. */
export declare function startStack(options?: StackOptions): Promise<Stack>;
/**
 * Connects to a stack that is up: that of a `harness up`, in another terminal say.
 *
 * @param options.dir - The directory of that stack. Default: that of the variable HARNESS_STACK, else this one or one above it.
 */
export declare function connectStack(options?: {
    dir?: string;
}): Promise<Stack>;
/** A stack that is up: its servers, and the app on them. */
export declare class Stack implements AsyncDisposable {
    private readonly client;
    /** What `harness up` says of the stack. */ readonly state: StackState;
    /** The directory of its state and logs. */
    readonly dir: string;
    private readonly up?;
    /** Reads the emails that the app has sent. */
    readonly mail: MailBox;
    private constructor();
    /** The variables that an app on this stack gets. */
    get env(): Record<string, string>;
    /** Where everything is. */
    get urls(): {
        app?: string;
        dashboard?: string;
        inngest: string;
        mail: string;
        smtp: string;
        mongo: string;
    };
    /** The end of what the stack and the app have printed, if this process started the stack. */
    log(): string;
    /** Sends an event, or several. */
    send(event: Event): Promise<SentEvent>;
    send(events: Event[]): Promise<SentEvent[]>;
    /** Starts a function, whatever triggers it: a schedule, too. */
    invoke(functionId: string, data?: Record<string, unknown>): Promise<SentEvent>;
    /** Sends an event, unless it was sent, and judges what follows from it. A verdict that does not hold is returned. */
    judge(event: AnyEvent, expectation: Expectation, options?: JudgeOptions): Promise<Judgement>;
    /** Like {@link judge}, but a verdict that does not hold is thrown, as a {@link VerdictError} whose message is its text. */
    expect(event: AnyEvent, expectation: Expectation, options?: JudgeOptions): Promise<Judgement>;
    /** The latest events, newest first, with their runs. */
    events(options?: {
        limit?: number;
        all?: boolean;
        steps?: boolean;
    }): Promise<ReceivedEvent[]>;
    /** An event, with its runs and their steps. */
    event(event: SentEvent | string): Promise<ReceivedEvent>;
    /**
     * Runs, those of the newest event first.
     *
     * @param filter.event - An event that was sent, or the name of events.
     * @param filter.all - Also the runs that events of the server started: schedules, invocations, handlers of failures.
     * @param filter.limit - How many events to look at. Default: 100.
     */
    runs(filter?: {
        event?: SentEvent | string;
        function?: string;
        status?: Status;
        all?: boolean;
        limit?: number;
    }): Promise<TraceRun[]>;
    /**
     * All that has followed from an event so far.
     *
     * @param options.to - Recipients of emails that belong to it even if they name no run.
     */
    trace(event: SentEvent | string, options?: {
        to?: string | string[];
    }): Promise<Trace>;
    /** Puts the clock of sim forward: `skip('3d')` for all, `skip({ run, by: '3d' })` for one run and those that descend from it. */
    skip(time: Duration | (Omit<Skip, 'until'> & {
        until?: string | Date;
    })): Promise<Date>;
    /**
     * Replaces the results of a step, one for each attempt, the last one for all further ones. Its code is not called. Without
     * outcomes the step is as it was. Only sim can do this.
     */
    replace(functionId: string, step: string, ...outcomes: StepOutcome[]): Promise<void>;
    /** Answers HTTP requests that steps let sim make: `step.fetch`, AI inference. */
    stub(...stubs: Stub[]): Promise<void>;
    /** Makes a fault happen on a wire between app, Inngest and mail server. */
    fault(fault: Fault): Promise<InjectedFault>;
    /** A service that can be stopped and started. */
    service(service: Service): Record<'stop' | 'start' | 'restart' | 'kill' | 'pause' | 'resume', () => Promise<void>>;
    /** Compares an email with a golden email, or writes that, if `update` is set. A difference is thrown, as a {@link HarnessError}. */
    golden(name: string, mail: Mail | string, goldens: Goldens): Promise<void>;
    /** Stops the app and the servers, if this process started them. */
    stop(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
/** A fault that was injected into a wire. */
export declare class InjectedFault {
    private readonly client;
    readonly id: string;
    /** What it does, in a few words. */
    readonly text: string;
    /** How often it has acted. */
    applied(): Promise<number>;
    /** Waits until it acts: until something is held, if that is what it does. */
    reached(timeout?: Duration): Promise<void>;
    /** Disarms it, and lets what it holds go on. */
    release(): Promise<void>;
    /** Disarms it, and closes what it holds. */
    drop(): Promise<void>;
}
/** Reads the emails that the app has sent. Called, it returns those that there are, the oldest first. */
export interface MailBox {
    (filter?: MailFilter): Promise<Mail[]>;
    /** Waits for the first such email. */
    wait(filter: MailFilter, timeout?: Duration): Promise<Mail>;
    /** The source of an email. */
    source(mail: Mail | string): Promise<string>;
    /** Removes emails, and returns how many. */
    clear(filter?: MailFilter): Promise<number>;
}
