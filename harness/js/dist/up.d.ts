/** A length of time, as in `1.5s`, `90m` or `3d`. */
export type Duration = string;
/** Says what a stack is made of. Everything has a default: without `command` only the servers run. */
export interface StackOptions {
    /**
     * The app: its program and arguments, or a line for the shell. It serves Inngest functions on the port that the variable
     * PORT names, and reads the addresses of the servers from its environment: `harness up --help` lists the variables.
     */
    command?: string | string[];
    /** The working directory of the app. Default: that of this process. */
    cwd?: string;
    /** Variables for the app, beside those of this process. */
    env?: Record<string, string | undefined>;
    /**
     * What runs as Inngest: `server` (the dev server), `start` (the self-hosted server), `sim` (a simulation, whose clock `skip`
     * puts forward), `sim-jump` (the same, and no sleep or retry takes time), or `auto` (`server`, once it is built; else `sim`).
     * Default: `auto`.
     */
    inngest?: 'auto' | 'server' | 'start' | 'sim' | 'sim-jump';
    /** Where the servers run. Default: `auto`. */
    backend?: 'auto' | 'local' | 'containers' | 'attach';
    /** What catches the emails. Default: `mailhog`. */
    mail?: 'mailhog' | 'mailpit';
    /** The database. Default: `single`. */
    mongo?: 'single' | 'replica-set';
    /** The path at which the app serves Inngest. Default: `/api/inngest`. */
    appPath?: string;
    /** The app connects to Inngest instead of serving HTTP. */
    connect?: boolean;
    /** Directories: when a source file in them changes, the app is started anew. */
    watch?: string | string[];
    /** Record what passes between app, Inngest and mail server. Without it there are no faults, and verdicts know less. Default: true. */
    taps?: boolean;
    /** The pause before Inngest retries a failed step, in whole seconds. Default: Inngest's own, 15 s and more. */
    retryInterval?: Duration;
    /** The header of an email that names the run that sent it. Default: `X-Inngest-Run-Id`. */
    runHeader?: string;
    /** What sim leaves to chance. Default: another each time. */
    seed?: number;
    /** How long the app may take until it answers. Default: `2m`. */
    startTimeout?: Duration;
    /** The directory for state and logs (in `.harness`), by which other commands find the stack. Default: a temporary one. */
    dir?: string;
    /** Gets each line of progress, and of the app's output. Default: they are shown only in errors. */
    onOutput?: (line: string) => void;
}
