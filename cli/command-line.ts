/**
 * @file From words to a command and from its end to an exit code. Options of a command are declared, and its rooms
 * loaded, only when it is the one that was called: `referee --help` loads nothing else.
 */
import { Command, CommanderError } from 'commander';

import { RefereeError, quoted } from '../errors.ts';
import type { Context } from './context.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { ReportedError, renderError } from './render.ts';

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly configure: (command: Command, context: Context) => Promise<void>;
}

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'run',
    summary: 'make images of a prompt or a file of prompts, in this process',
    configure: async (command, context) => (await import('./commands/run.ts')).configureRun(command, context),
  },
  {
    name: 'dev',
    summary: "Temporal's server, an S3 server and workers on this machine, for batches",
    configure: async (command, context) => (await import('./commands/dev.ts')).configureDev(command, context),
  },
  {
    name: 'submit',
    summary: 'start a batch on a Temporal server',
    configure: async (command, context) => (await import('./commands/submit.ts')).configureSubmit(command, context),
  },
  {
    name: 'status',
    summary: 'how a run is, or which runs there are',
    configure: async (command, context) => (await import('./commands/status.ts')).configureStatus(command, context),
  },
  {
    name: 'watch',
    summary: 'follow a run to its end',
    configure: async (command, context) => (await import('./commands/watch.ts')).configureWatch(command, context),
  },
  {
    name: 'items',
    summary: 'the items of a run',
    configure: async (command, context) => (await import('./commands/items.ts')).configureItems(command, context),
  },
  {
    name: 'logs',
    summary: 'what happened to the items of a run, and where',
    configure: async (command, context) => (await import('./commands/logs.ts')).configureLogs(command, context),
  },
  {
    name: 'verify',
    summary: 'prove that a finished run is whole, and search items again to the same bytes',
    configure: async (command, context) => (await import('./commands/verify.ts')).configureVerify(command, context),
  },
  {
    name: 'pause',
    summary: 'hold a run',
    configure: async (command, context) => (await import('./commands/control.ts')).configurePause(command, context),
  },
  {
    name: 'resume',
    summary: 'go on with a run that was paused, cancelled or interrupted',
    configure: async (command, context) => (await import('./commands/control.ts')).configureResume(command, context),
  },
  {
    name: 'cancel',
    summary: 'end a run, with its searches saved',
    configure: async (command, context) => (await import('./commands/control.ts')).configureCancel(command, context),
  },
  {
    name: 'retry',
    summary: 'search the failed items of a run again',
    configure: async (command, context) => (await import('./commands/control.ts')).configureRetry(command, context),
  },
  {
    name: 'worker',
    summary: 'take items of batches from a Temporal server',
    configure: async (command, context) => (await import('./commands/worker.ts')).configureWorker(command, context),
  },
  {
    name: 'doctor',
    summary: 'check machine, providers, pack, store and server, and say how to mend what is wrong',
    configure: async (command, context) => (await import('./commands/doctor.ts')).configureDoctor(command, context),
  },
  {
    name: 'models',
    summary: 'check a checkpoint against reference numbers',
    configure: async (command, context) =>
      (await import('./commands/models-check.ts')).configureModels(command, context),
  },
  {
    name: 'grad',
    summary: 'write an ONNX model that also computes gradients of an ONNX model',
    configure: async (command, context) => (await import('./commands/grad.ts')).configureGrad(command, context),
  },
];

const HELP = `
Examples:
  referee run "a red circle to the left of a blue square" --seed 7
  referee run prompts.jsonl --store /data/runs
  referee dev --workers 2
  referee submit prompts.jsonl --store s3://bucket/runs --watch
  referee doctor --store s3://bucket/runs
  referee models check test/fixtures/unet-sd15
  referee grad classifier.onnx --of logits --wrt image --output classifier.grad.onnx

Exit codes: 0 done, 1 unexpected, 2 input or usage, 3 some items failed or outside of tolerance, 4 not found,
5 not permitted, 75 try again later, 130 and 143 interrupted and resumable.`;

/** Runs one command to its end and returns the exit code. Never throws: errors are rendered. */
export async function runCommandLine(context: Context): Promise<number> {
  try {
    const program = await buildProgram(context);
    if (context.argv.length === 0) {
      context.stderr.write(program.helpInformation());
      return EXIT.usage;
    }
    await program.parseAsync(context.argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const isReported = error instanceof ReportedError;
    const shown = isReported ? error.error : error instanceof CommanderError ? usageError(error, context) : error;
    renderError(shown, context.argv.includes('--json') && !isReported, context);
    return exitCodeOf(shown);
  }
}

async function buildProgram(context: Context): Promise<Command> {
  const program = quietly(new Command('referee'), context)
    .description('Images that follow complicated prompts, by inverting frozen vision-language models. No training.')
    .version(context.version)
    .addHelpText('after', HELP);
  const called = context.argv[0] === 'help' ? context.argv[1] : context.argv.find((word) => !word.startsWith('-'));
  for (const { name, summary, configure } of COMMANDS) {
    const command = program.command(name).description(summary);
    if (name === called) await configure(command, context);
    for (const each of [command, ...command.commands]) quietly(each, context);
  }
  return program;
}

/** Errors are thrown to us instead of being printed; help goes to our stdout. */
function quietly(command: Command, { stdout }: Context): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => void stdout.write(text),
    writeErr: () => undefined,
    outputError: () => undefined,
  });
}

/** Commander's complaint in our words: one line, what was found, a suggestion. */
function usageError({ code, message }: CommanderError, { argv }: Context): RefereeError {
  const found = /'([^']*)'/.exec(message)?.[1] ?? '';
  const nearest = /Did you mean (?:one of )?([^?,)]+)/.exec(message)?.[1];
  const suggestion = nearest === undefined ? '' : `: did you mean ${quoted(nearest.trim())}?`;
  switch (code) {
    case 'commander.unknownOption':
      return new RefereeError('InvalidOption', `unknown option ${quoted(found)}${suggestion}`, {
        details: { field: found },
      });
    case 'commander.unknownCommand':
      return new RefereeError('InvalidOption', `unknown command ${quoted(found)}${suggestion}`, {
        hint: 'referee --help lists the commands',
      });
    case 'commander.optionMissingArgument':
      return new RefereeError('InvalidOption', `${found.split(' ')[0] ?? found}: expected a value, found nothing`);
    case 'commander.missingArgument':
      return new RefereeError('InvalidInput', `expected <${found}>, found nothing`, {
        hint: `referee ${argv[0] ?? ''} --help`,
      });
    case 'commander.excessArguments':
      return new RefereeError('InvalidInput', 'expected one argument, found several', {
        hint: 'put a prompt of several words in quotes',
      });
    default:
      return new RefereeError('InvalidOption', message.replace(/^error: /, '').replaceAll('\n', ' '));
  }
}
