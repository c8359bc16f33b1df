/**
 * @file Body of a process that judges cases one after the other, so that one that hangs or crashes takes nobody along.
 */
import { judgeCase } from './judge-case.ts';
import { failed } from './outcome.ts';

process.on('message', (folder: string) => {
  void judgeCase(folder).then(
    (outcome) => process.send!(outcome),
    (error: unknown) => process.send!(failed(String(error))),
  );
});
