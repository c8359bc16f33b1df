/**
 * @file The import table of ARCHITECTURE.md as data: which room may import which. The lint zones and the test that walks
 * the import graph are both made from it, so that neither can drift from the other.
 */

/** room -> rooms (besides itself) that it may import. Type imports of `typesOnly` rooms are allowed as well. */
export const IMPORT_TABLE = {
  'models/onnx': [],
  'models/autodiff': ['models/onnx'],
  'models/nn': ['models/onnx'],
  'models/architectures': ['models/nn', 'models/onnx'],
  'models/weights': ['models/onnx'],
  'models/tokenizers': [],
  'models/runtime': ['models/onnx'],
  'models/packs': [
    'models/onnx',
    'models/autodiff',
    'models/nn',
    'models/architectures',
    'models/weights',
    'models/tokenizers',
  ],
  inversion: ['models/runtime'],
  judge: ['models'],
  store: [],
  activities: ['inversion', 'judge', 'store', 'models'],
  workflows: ['activities'],
  remote: ['activities', 'inversion', 'models', 'store', 'workflows'],
  worker: ['activities', 'workflows', 'store', 'models'],
  cli: ['inversion', 'judge', 'store', 'models', 'activities', 'workflows', 'remote', 'worker', 'web', 'index.ts'],
  web: ['store'],
};

/** Rooms that may be imported for their types alone: importer -> imported. */
export const TYPES_ONLY = { inversion: ['models/runtime'], 'models/runtime': ['models/onnx'] };

/** Rooms that keep Node's built-ins out, so that they run in a browser too. */
export const BROWSER_ROOMS = ['models/onnx', 'models/autodiff', 'models/nn', 'models/architectures', 'inversion'];

/** Files of the root that every room may import: the one error class. */
export const SHARED_FILES = ['errors.ts'];

/** The table as zones of `import-x/no-restricted-paths`. */
export function zones() {
  const rooms = Object.keys(IMPORT_TABLE);
  return rooms.map((room) => {
    const allowed = [...IMPORT_TABLE[room], room];
    return {
      target: `./${room}`,
      from: rooms
        .filter((other) => !allowed.some((a) => other === a || other.startsWith(`${a}/`)))
        .map((other) => `./${other}`)
        .concat(['./infra', './bench', './test', './scripts']),
      message: `${room} may import only: ${IMPORT_TABLE[room].join(', ') || 'nothing of the other rooms'}`,
    };
  });
}
