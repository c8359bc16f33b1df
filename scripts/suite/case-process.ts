/**
 * @file Body of a process that judges cases one after the other, so that one that hangs or crashes takes nobody along.
 */
import { judgeCase } from './judge-case.ts';

process.on('message', (folder: string) => {
  void judgeCase(folder).then(
    (outcome) => process.send!(outcome),
    (error: unknown) => {
      const why = String(error);
      process.send!({
        stock: { is: 'unfed' },
        read: { is: 'bug', why },
        outputs: { is: 'skipped' },
        gradient: { is: 'skipped' },
      });
    },
  );
});
