import js from '@eslint/js';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

import { BROWSER_ROOMS, zones } from './scripts/import-table.js';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'packs/', 'test/fixtures/', 'models/onnx/onnx_pb.ts', 'runs/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', 'scripts/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver({ project: './tsconfig.json' })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones: zones() }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/order': [
        'error',
        { groups: ['builtin', 'external', 'parent', ['sibling', 'index']], 'newlines-between': 'ignore' },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Numbers in messages are the point of our messages.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Numeric loops over typed arrays read elements that a checked length guarantees.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Index signatures read as properties only by choice.
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    // These rooms can run in a browser: nothing of Node in them.
    files: BROWSER_ROOMS.map((room) => `${room}/**/*.ts`),
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [{ group: ['node:*'], message: 'this room can run in a browser: no Node built-ins here' }],
          paths: [
            'fs',
            'path',
            'crypto',
            'os',
            'url',
            'util',
            'worker_threads',
            'buffer',
            'stream',
            'child_process',
            'zlib',
          ],
        },
      ],
      'no-restricted-globals': ['error', 'process', 'Buffer', '__dirname', 'require'],
    },
  },
  {
    files: ['inversion/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'random numbers come from inversion/random.ts alone' },
        { object: 'Date', property: 'now', message: 'no clocks in the search' },
      ],
    },
  },
  // The type checker knows Node's globals better than a list of names would.
  { files: ['test/**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  { files: ['**/*.mjs'], rules: { 'no-undef': 'off' } },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
);
